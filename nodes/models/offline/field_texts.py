"""Field types that a service has only when one of its resources uses them."""

FIELD_TYPES = {
    "iso": '''"""Text forms of dates and times."""


def iso_text(value: object) -> object:
    """Refuse numbers: pydantic alone takes them for seconds since 1970."""
    if not isinstance(value, str) or value[4:5] != "-":
        raise ValueError("must be ISO 8601 text")
    return value
''',
    "money": '''"""Amounts with two decimal places, exact from the request to the database and back."""

from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator, Field


def with_cents(amount: Decimal) -> Decimal:
    """The same amount always becomes the same text; adding zero turns -0 into 0."""
    return amount.quantize(Decimal("0.01")) + 0


Money = Annotated[Decimal, Field(max_digits=12, decimal_places=2), AfterValidator(with_cents)]
''',
    "day": '''"""Calendar days."""

import datetime
from typing import Annotated

from pydantic import BeforeValidator

from PKG.fields.iso import iso_text

Day = Annotated[datetime.date, BeforeValidator(iso_text)]
''',
    "moment": '''"""Points in time, kept in UTC."""

import datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BeforeValidator

from PKG.fields.iso import iso_text


def to_utc(moment: datetime.datetime) -> datetime.datetime:
    """One zone and whole seconds, so that the order of the texts is the order of the moments."""
    try:
        return moment.astimezone(datetime.UTC).replace(microsecond=0)
    except OverflowError:
        raise ValueError("is outside of the years 1 to 9999 in UTC") from None


Moment = Annotated[AwareDatetime, BeforeValidator(iso_text), AfterValidator(to_utc)]
''',
    "email": r'''"""E-mail addresses; only a message sent to one can prove that it exists."""

from typing import Annotated

from pydantic import Field

Email = Annotated[str, Field(max_length=254, pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")]
''',
    "link": r'''"""Web addresses."""

from typing import Annotated

from pydantic import Field

Link = Annotated[str, Field(max_length=2000, pattern=r"^https?://[^\s]+$")]
''',
    "number": '''"""Fractions, without the infinities and the not-a-number that JSON cannot hold."""

from typing import Annotated

from pydantic import Field

Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
''',
}
