"""The words an objective may use for types, rules and relations, and those that ask for more than CRUD."""

import re


def words(text: str) -> frozenset[str]:
    """Words that are written with spaces between them."""
    return frozenset(text.split())


SPELLINGS = {
    "string": "string str varchar char",
    "text": "text longtext",
    "integer": "int integer bigint smallint",
    "number": "number float double real",
    "decimal": "decimal numeric money currency",
    "boolean": "bool boolean flag",
    "date": "date day",
    "datetime": "datetime date-time timestamp timestamptz time",
    "uuid": "uuid guid",
    "email": "email e-mail",
    "url": "url uri link",
}
TYPES = {word: kind for kind, spellings in SPELLINGS.items() for word in spellings.split()}
# Words that are types wherever they stand: the others ("date", "number") are also parts of names.
PURE_TYPES = "string|str|varchar|int|integer|bigint|float|double|decimal|bool|boolean|datetime|timestamp|uuid"

# First match wins; a name is tried as a whole, in snake_case.
NAMES = (
    (r"(.*_)?e?mail(_address)?", "email"),
    (r"(.*_)?(url|uri|website|link|homepage)", "url"),
    (r"(is|has|can|was)_.+|.+_flag|active|enabled|disabled|done|published|completed?|archived|"
     r"available|verified|paid|in_stock",
     "boolean"),
    (r".+_at|(.*_)?(timestamp|datetime)", "datetime"),
    (r"(.*_)?(date|birthday|deadline|day|dob)|date_of_.+|.+_on", "date"),
    (r"(.*_)?(price|amount|total|subtotal|cost|fee|salary|balance|budget|discount)(_per_.+)?", "decimal"),
    (r"number_of_.+|(.*_)?(stock|quantity|count|age|year|pages|position|priority|duration|capacity|"
     r"views|likes|points|"
     r"seats|rooms|floors|calories|hours|minutes|seconds|votes|downloads|score|floor|"
     r"amount_in_stock)", "integer"),
    (r"(.*_)?(weight|height|width|length|depth|rating|latitude|longitude|temperature|distance|"
     r"speed)", "number"),
    (r"(.*_)?(description|body|content|contents|text|notes|note|comment|bio|biography|summary|details|"
     r"remarks|"
     r"instructions|message|address)", "text"),
)  # fmt: skip
NOT_NEGATIVE = re.compile(
    r"number_of_.+|(.*_)?(price|cost|fee|salary|stock|quantity|count|age|pages|views|likes|seats|"
    r"rooms|capacity|weight"
    r"|height|width|hours|minutes|seconds|votes|downloads|duration|calories|total|amount|subtotal|"
    r"distance)(_per_.+)?"
)
CHOICES = words("""
    status state priority kind type level role size color colour gender severity genre visibility currency
    unit condition category stage phase tier
""")

PROVIDED = re.compile(
    r"(cursor-free )?(limit/offset )?pagination|(input |request |field )?validation|(unit |automated |"
    r"integration )?tests|"
    r"(database |sql )?migrations|(api )?documentation|docs|an? openapi (contract|spec|document)|"
    r"openapi( docs)?|"
    r"(proper |consistent )?error (handling|responses|messages)"
)
# A head noun here is something a service does, not something a row has.
BEYOND = words("""
    search searching filtering sorting websocket websockets auth authentication authorization
    authorisation oauth oauth2 jwt jwts sso payments payment stripe paypal webhook webhooks upload
    uploads cache caching redis kafka rabbitmq queue queues notification notifications realtime
    streaming graphql grpc elasticsearch docker kubernetes deployment monitoring logging tracing
    limiting limits throttling export exports import imports dashboard frontend ui permissions rbac
    tenancy multitenancy audit versioning backup backups i18n translations recommendations analytics
    encryption login logins signup registration session sessions update updates sync integration
    integrations scheduling jobs reporting statistics support access delete deletes deletion
    endpoint endpoints feature features functionality logic workflow engine api
""")
SECRET = re.compile(
    r"(.*_)?(password|passwd|passcode|secret|token|api_key|pin|cvv|cvc|ssn|card_number|credit_card)(_hash)?"
)
NEVER = words("""
    authentication authorization authorisation oauth oauth2 jwt websocket websockets stripe paypal
    redis kafka graphql kubernetes docker webhook webhooks elasticsearch realtime
""")
# Words that no name of a field or resource holds in the middle.
STRUCTURE = words("""
    with without should must shall will can could when whenever while that which who whom if then so
    because via using support supports supporting allow allows only also into onto than like users'
    be been are were do does has have having where whose it they them sends send sent through
    between each every all any no not or and but is needed needing needs requiring requires require
""")
PREPOSITIONS = {"to", "for", "by", "from", "on", "when", "via"}
# Words that begin a demand, not a name.
VERBS = words("""
    send notify allow calculate compute ensure integrate deploy restrict export import upload sync
    validate enable prevent only include includes no exporting importing uploading sending searching
    notifying syncing processing calculating where when without using via users' every each
""")
# What stands before "API" and makes it another kind of work.
OTHER_KINDS = BEYOND | words("""
    graphql grpc soap django flask express node nodejs nest java kotlin spring go golang rust php
    laravel rails ruby postgres postgresql mysql mongodb redis async public secure secured
    authenticated our existing this that the in of to from for with fix bug migrate test document
    existing legacy serverless aws lambda typescript javascript
""")

AUTHENTICATION = words("authentication auth oauth oauth2 jwt jwts login")
# With these beside it an objective on authentication asks for nothing that the written service lacks.
AROUND_AUTHENTICATION = words("""
    add adds implement build create write introduce set up provide we need want a an the this our to for
    of in on with using via by based and plus including include that lets let users user account accounts
    can be is are system service api apis rest backend application app fastapi python module feature
    support flow layer 2.0 2 json web token tokens access refresh bearer session sessions sign signin
    sign-in log logout login/logout log-in log-out out authorization code grant exchange pkce state
    provider providers identity middleware verification rotation key keys password passwords hashing
    email e-mail revocation rate limit limiting limits secure migrations tests documentation docs
    endpoint endpoints /auth
""")
