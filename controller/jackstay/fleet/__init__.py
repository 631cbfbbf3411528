"""Many hosts at once: bounded fan-out, batches, a failure budget, one outcome a host."""

from jackstay.fleet.exit_codes import exit_code
from jackstay.fleet.options import FleetOptions
from jackstay.fleet.outcome import ErrorInfo, FleetResult, Outcome, OutcomeName
from jackstay.fleet.run import run

__all__ = ["ErrorInfo", "FleetOptions", "FleetResult", "Outcome", "OutcomeName", "exit_code", "run"]
