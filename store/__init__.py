"""The memory: queries, decisions, attempts, outcomes, and the register of artifacts.

`open_store(config)` gives a `Store`; tables of outcomes in files are read and written by `outcomes_file` and read as
observations through a `Constellation`."""

from .artifacts import Action, ArtifactRow, Promotion
from .checks import CheckRow
from .config import StoreConfig
from .constellations import Constellation, DerivedRoute, RecordedRoute, read_constellation, write_constellation
from .export import Pruned
from .facade import Store, open_store
from .json_lines import read_json_lines
from .outcomes import Label, Receipt, check_outcome, is_repeat, label, parse_outcome
from .outcomes_file import COLUMNS, Table, read_table, write_rows, write_table
from .queue import QueueStats
from .records import Paid, Record, paid, redacted
from .replayed import UNIT_PRICE, Reading, observations_from_table
from .texts import last_user_text, normal_form, query_hash

__all__ = [
    "COLUMNS",
    "UNIT_PRICE",
    "Action",
    "ArtifactRow",
    "CheckRow",
    "Constellation",
    "DerivedRoute",
    "Label",
    "Paid",
    "Promotion",
    "Pruned",
    "QueueStats",
    "Reading",
    "Receipt",
    "Record",
    "RecordedRoute",
    "Store",
    "StoreConfig",
    "Table",
    "check_outcome",
    "is_repeat",
    "label",
    "last_user_text",
    "normal_form",
    "observations_from_table",
    "open_store",
    "paid",
    "parse_outcome",
    "query_hash",
    "read_constellation",
    "read_json_lines",
    "read_table",
    "redacted",
    "write_constellation",
    "write_rows",
    "write_table",
]
