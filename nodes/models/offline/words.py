"""Singular and plural of English nouns, and names written in several cases."""

import re

IRREGULAR_PAIRS = """
    person:people child:children man:men woman:women mouse:mice goose:geese foot:feet tooth:teeth
    medium:media criterion:criteria phenomenon:phenomena analysis:analyses crisis:crises
    thesis:theses diagnosis:diagnoses basis:bases index:indices matrix:matrices vertex:vertices
    leaf:leaves shelf:shelves half:halves knife:knives life:lives wolf:wolves loaf:loaves
    thief:thieves hero:heroes potato:potatoes tomato:tomatoes echo:echoes quiz:quizzes datum:data
    cache:caches movie:movies cookie:cookies zombie:zombies calorie:calories shoe:shoes toe:toes
    house:houses horse:horses tie:ties pie:pies axe:axes bus:buses gas:gases lens:lenses bias:biases
    atlas:atlases alias:aliases canvas:canvases virus:viruses status:statuses bonus:bonuses
    campus:campuses census:censuses menu:menus
"""
IRREGULAR = dict(pair.split(":") for pair in IRREGULAR_PAIRS.split())
UNCOUNTABLE = {"series", "species", "news", "equipment", "information", "sheep", "fish", "furniture", "software"}
SINGULARS = {plural: singular for singular, plural in IRREGULAR.items()}


def plural_of(name: str) -> str:
    """The plural of a snake_case noun: `order_item` gives `order_items`."""
    head, _, noun = name.rpartition("_")
    if noun in IRREGULAR:
        noun = IRREGULAR[noun]
    elif re.search(r"[^aeiou]y$", noun):
        noun = noun[:-1] + "ies"
    elif noun not in UNCOUNTABLE:
        noun += "es" if re.search(r"(s|x|z|ch|sh)$", noun) else "s"
    return f"{head}_{noun}" if head else noun


def singular_of(name: str) -> str:
    """The singular of a snake_case noun, unchanged when it is one already."""
    head, _, noun = name.rpartition("_")
    if noun in SINGULARS:
        noun = SINGULARS[noun]
    elif noun not in UNCOUNTABLE and noun not in IRREGULAR:
        if noun.endswith("ies") and len(noun) > 4:
            noun = noun[:-3] + "y"
        elif re.search(r"(ss|x|z|ch|sh)es$", noun):
            noun = noun[:-2]
        elif noun.endswith("s") and not re.search(r"(ss|us|is|as)$", noun):
            noun = noun[:-1]
    return f"{head}_{noun}" if head else noun


def is_plural(name: str) -> bool:
    """Whether the last word of a snake_case name can be a plural; uncountable words always can."""
    return singular_of(name) != name or name.rpartition("_")[2] in UNCOUNTABLE


def snake(text: str) -> str:
    """`Birth date`, `birthDate` and `birth-date` all give `birth_date`."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", text.strip())
    return re.sub(r"[\s\-_]+", "_", spaced).lower().strip("_")


def camel(name: str) -> str:
    """The CamelCase of a snake_case name: `order_item` gives `OrderItem`."""
    return "".join(part.capitalize() for part in name.split("_"))
