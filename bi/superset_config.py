"""Superset on loopback, for one warehouse. Read by Superset itself; ``start.py`` sets the environment.

Everything it keeps lies in the folder that WAREHOUSE_SUPERSET names, readable by its owner only.
"""

import os
from pathlib import Path

from superset.config import TALISMAN_CONFIG as POLICY
from superset.config import THEME_DEFAULT as BASE

HOME = Path(os.environ["WAREHOUSE_SUPERSET"])

SECRET_KEY = (HOME / "secret_key").read_text().strip()
SQLALCHEMY_DATABASE_URI = f"sqlite:///{HOME / 'superset.db'}?check_same_thread=false"
DATA_DIR = str(HOME)

APP_NAME = "Messaging warehouse"
FEATURE_FLAGS = {"ENABLE_TEMPLATE_PROCESSING": False}

# What a reader asked five minutes ago may be answered from memory.
CACHE_CONFIG = {"CACHE_TYPE": "SimpleCache", "CACHE_DEFAULT_TIMEOUT": 300}
DATA_CACHE_CONFIG = CACHE_CONFIG
RATELIMIT_STORAGE_URI = "memory://"

# Its own server answers on 127.0.0.1 over http: cookies stay on this site, pages in no frame.
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
TALISMAN_ENABLED = True
# Pictures come from here alone: the page would fetch a counting pixel from a third party.
TALISMAN_CONFIG = {
    **POLICY,
    "content_security_policy": {
        **POLICY["content_security_policy"],
        "img-src": ["'self'", "blob:", "data:"],
        "connect-src": ["'self'"],
        "style-src": ["'self'", "'unsafe-inline'"],
        "font-src": ["'self'"],
    },
}
WTF_CSRF_ENABLED = True
PREVENT_UNSAFE_DB_CONNECTIONS = True
PUBLIC_ROLE_LIKE = None
AUTH_ROLE_PUBLIC = ""
CONTENT_SECURITY_POLICY_WARNING = False
BABEL_DEFAULT_LOCALE = "en"
LANGUAGES = {}

THEME_DEFAULT = {**BASE, "token": {**BASE["token"], "brandAppName": APP_NAME}}
THEME_DARK = None
