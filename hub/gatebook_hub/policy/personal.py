"""Does a column look like personal data? By the words of its name and its type."""

from __future__ import annotations

import re

from gatebook_hub.model import Column

# Tag → the words (or two joined) that suggest it. Whole words alone: `mail` is not in `mailbox_size`.
_WORDS_OF = {
    "pii.email": "email mail emailaddress mailaddress",
    "pii.phone": "phone telephone mobile cell cellphone fax phonenumber msisdn",
    "pii.birthdate": "birthdate birthday dateofbirth dob birth born",
    "pii.address": "address street streetaddress addressline postal postalcode postcode zip zipcode",
    "pii.name": "firstname lastname surname fullname givenname familyname maidenname",
    "pii.id": "ssn passport passportno taxid nationalid socialsecurity driverslicense",
    "pii.payment": "iban bic accountnumber cardnumber creditcard pan cvv",
    "secret": "password passwd passwordhash secret apikey",
    "pii.special": "gender religion ethnicity nationality diagnosis disability",
    "pii.pay": "salary wage",
    "pii.location": "ip ipaddress latitude longitude",
}
_WORDS = {word: tag for tag, words in _WORDS_OF.items() for word in words.split()}
# A column about such a thing, not the thing: `address_id`, `email_count`, `is_phone_verified`.
_ABOUT = {"id", "count", "type", "kind", "flag", "status", "verified", "valid", "enabled", "at", "size", "is", "has"}
_NUMBERS_TOO = {"pii.phone", "pii.address", "pii.id", "pii.payment", "pii.pay", "pii.location", "pii.birthdate"}
_NUMBER = re.compile(r"int|serial|numeric|decimal|real|double|float|number")
_BOOLEAN = re.compile(r"bool|tinyint\(1\)|^bit")
_ADDRESS = re.compile(r"^(inet|cidr|macaddr)")


def suggested_tag(column: Column) -> str | None:
    """The tag that the column seems to want, or None."""
    kind = column.type.lower()
    if _BOOLEAN.search(kind):
        return None
    if _ADDRESS.match(kind):
        return "pii.location"
    words = re.findall(r"[a-z]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", column.name).lower())
    if _ABOUT & set(words):
        return None
    joined = [*words, *("".join(words[i : i + n]) for n in (2, 3) for i in range(len(words) - n + 1))]
    # Names in one word come with what they are joined to: `customeremail`, `billingaddress`.
    endings = [known for word in words for known in _WORDS if len(known) > 4 and word.endswith(known)]
    for word in (*joined, *endings):
        tag = _WORDS.get(word)
        if tag is not None and (tag in _NUMBERS_TOO or not _NUMBER.search(kind)):
            return tag
    return None
