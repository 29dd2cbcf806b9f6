"""Configuration and models as text: what `dmg config` and `dmg models` print, and the docs show."""

from dmg.describe.models import PARAMETER_HEAD as PARAMETER_HEAD
from dmg.describe.models import Description as Description
from dmg.describe.models import model as model
from dmg.describe.models import models as models
from dmg.describe.models import parameters as parameters
from dmg.describe.settings import Row as Row
from dmg.describe.settings import load as load
from dmg.describe.settings import schema_json as schema_json
from dmg.describe.settings import settings as settings
