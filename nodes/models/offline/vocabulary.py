"""The words an objective may use for types, rules and relations, and those that ask for more than CRUD."""

import re

TYPES = {
    "string": "string", "str": "string", "varchar": "string", "char": "string", "text": "text", "longtext": "text",
    "int": "integer", "integer": "integer", "bigint": "integer", "smallint": "integer", "whole number": "integer",
    "number": "number", "float": "number", "double": "number", "real": "number", "numeric": "decimal",
    "decimal": "decimal", "money": "decimal", "currency": "decimal", "bool": "boolean", "boolean": "boolean",
    "flag": "boolean", "date": "date", "day": "date", "datetime": "datetime", "date-time": "datetime",
    "timestamp": "datetime", "time": "datetime", "timestamptz": "datetime", "uuid": "uuid", "guid": "uuid",
    "email": "email", "e-mail": "email", "email address": "email", "url": "url", "uri": "url", "link": "url",
}  # fmt: skip
# Words that are types wherever they stand: the others ("date", "number") are also parts of names.
PURE_TYPES = "string|str|varchar|int|integer|bigint|float|double|decimal|bool|boolean|datetime|timestamp|uuid"

# First match wins; a name is tried as a whole, in snake_case.
NAMES = (
    (r"(.*_)?e?mail(_address)?", "email"),
    (r"(.*_)?(url|uri|website|link|homepage)", "url"),
    (r"(is|has|can|was)_.+|.+_flag|active|enabled|disabled|done|published|completed?|archived|available|verified|paid|in_stock",
     "boolean"),
    (r".+_at|(.*_)?(timestamp|datetime)", "datetime"),
    (r"(.*_)?(date|birthday|deadline|day|dob)|date_of_.+|.+_on", "date"),
    (r"(.*_)?(price|amount|total|subtotal|cost|fee|salary|balance|budget|discount)(_per_.+)?", "decimal"),
    (r"number_of_.+|(.*_)?(stock|quantity|count|age|year|pages|position|priority|duration|capacity|views|likes|points|"
     r"seats|rooms|floors|calories|hours|minutes|seconds|votes|downloads|score|floor|amount_in_stock)", "integer"),
    (r"(.*_)?(weight|height|width|length|depth|rating|latitude|longitude|temperature|distance|speed)", "number"),
    (r"(.*_)?(description|body|content|contents|text|notes|note|comment|bio|biography|summary|details|remarks|"
     r"instructions|message|address)", "text"),
)  # fmt: skip
NOT_NEGATIVE = re.compile(
    r"number_of_.+|(.*_)?(price|cost|fee|salary|stock|quantity|count|age|pages|views|likes|seats|rooms|capacity|weight"
    r"|height|width|hours|minutes|seconds|votes|downloads|duration|calories|total|amount|subtotal|distance)(_per_.+)?"
)
CHOICES = {"status", "state", "priority", "kind", "type", "level", "role", "size", "color", "colour", "gender"}
CHOICES |= {"severity", "genre", "visibility", "currency", "unit", "condition", "category", "stage", "phase", "tier"}

PROVIDED = re.compile(
    r"(cursor-free )?(limit/offset )?pagination|(input |request |field )?validation|(unit |automated |integration )?tests|"
    r"(database |sql )?migrations|(api )?documentation|docs|an? openapi (contract|spec|document)|openapi( docs)?|"
    r"(proper |consistent )?error (handling|responses|messages)"
)
# A head noun here is something a service does, not something a row has.
BEYOND = set(
    "search searching filtering sorting websocket websockets auth authentication authorization authorisation oauth"
    " oauth2 jwt jwts sso payments payment stripe paypal webhook webhooks upload uploads cache caching redis kafka"
    " rabbitmq queue queues notification notifications realtime streaming graphql grpc elasticsearch docker kubernetes"
    " deployment monitoring logging tracing limiting limits throttling export exports import imports dashboard"
    " frontend ui permissions rbac tenancy multitenancy audit versioning backup backups i18n translations"
    " recommendations analytics encryption login logins signup registration session sessions update updates sync"
    " integration integrations scheduling jobs reporting statistics support access delete deletes deletion".split()
)
SECRET = re.compile(r"(.*_)?(password|passwd|passcode|secret|token|api_key|pin|cvv|cvc|ssn|card_number|credit_card)(_hash)?")
# Words that no name of a field or resource holds in the middle.
STRUCTURE = set(
    "with without should must shall will can could when whenever while that which who whom if then so because via using"
    " support supports supporting allow allows only also into onto than like users' be been are were do does has have"
    " having where whose it they them sends send sent through between each every all any no not or and but needing needs requiring requires require".split()
)
PREPOSITIONS = {"to", "for", "by", "from", "on", "when", "via"}
# Words that begin a demand, not a name.
VERBS = set(
    "send notify allow calculate compute ensure integrate deploy restrict export import upload sync validate enable"
    " prevent only exporting importing uploading sending searching notifying syncing processing calculating where when"
    " without using via users' every each"
    .split()
)
# What stands before "API" and makes it another kind of work.
OTHER_KINDS = BEYOND | set(
    "graphql grpc soap django flask express node nodejs nest java kotlin spring go golang rust php laravel rails ruby"
    " postgres postgresql mysql mongodb redis async public secure secured authenticated our existing this that the"
    " in of to from for with fix bug migrate test document existing legacy serverless aws lambda typescript javascript".split()
)
