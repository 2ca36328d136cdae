"""The words by which a demand speaks of who somebody is and what they may do."""

import re

_ENTERED = r"""(?=\ *(?:$ | [^\w\s] | (?:and|or|with|without|via|by|using|through|to|from|as|on|at|before|after|once
    |when|if|first|again|twice|only|per|page|form|flow|endpoint|route|attempts?|requests?|events?)\b))"""
"""What follows `log in` where somebody enters; in `log in JSON` nobody does."""
_ROLES = r"(?:managers?|moderators?|owners?|authors?|editors?|staff|guests?|anonymous|operators?|superusers?)"
ACCESS = re.compile(
    rf"""\b(?:auth | authn | authz | authenticat\w+ | authori[sz]\w+ | oauth2? | oidc | openid | saml | sso | ldap
        | jwts? | logins? | log-ins? | log-?outs? | log\ out | (?:log|sign)(?:ged)?\ in{_ENTERED} | sign-?(?:in|up)s?
        | sign\ up | passwords? | passkeys? | webauthn | credentials? | (?:two|multi)-factor | 2fa | mfa | totp
        | roles? | rbac | abac | acls? | permissions? | privileges? | access\ (?:control|rights?|levels?|polic\w+)
        | api\ keys? | (?:access|refresh|bearer|csrf|xsrf)\ tokens? | csrf | xsrf | (?<!database\ )(?<!db\ )sessions?
        | admin(?:istrator)?s? | multi-?tenant\w* | tenants? | invitations? | impersonat\w+
        | (?:let|allow|forbid)s?\ (?:only\ )?{_ROLES} | only\ (?:\w+\ ){{1,3}}(?:may|can|is|are))\b""",
    re.IGNORECASE | re.VERBOSE,
)
"""Matches a demand, or the title of a task, that changes authentication or authorisation."""
