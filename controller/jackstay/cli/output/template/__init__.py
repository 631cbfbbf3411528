"""``--format``: Go's text/template with docker's functions, without define, template and block. Pure.

``lexer`` and ``parser`` make a tree of ``nodes``, ``check`` says what can be said before there is an object,
``evaluate`` walks the tree over one. What values are, print and count as is ``output/go_values.py``; what docker's
types add to JSON is ``output/docker_types.py``. A field of a struct that is not there is an error that names the
nearest; a missing key of a map is ``<no value>``, and with ``index`` what the map's type has for nothing: for labels an
empty string.
"""

from jackstay.cli.output.template.errors import EvaluationError, TemplateError
from jackstay.cli.output.template.template import Template, parse_template

__all__ = ["EvaluationError", "Template", "TemplateError", "parse_template"]
