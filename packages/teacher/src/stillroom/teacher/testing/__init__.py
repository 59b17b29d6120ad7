"""A scripted OpenAI-compatible server for tests of whatever talks to a teacher.

It needs the extra `testing`.

>>> from stillroom.teacher.testing import Fault, Script, ScriptedServer
>>> with ScriptedServer(Script(answer="yes", faults=(Fault("status", share=0.1, status=429),))) as server:
...     ...
"""

from stillroom.teacher.testing.bill import Bill, Charge, content_hash
from stillroom.teacher.testing.script import Fault, Reply, Script, echo, reverse
from stillroom.teacher.testing.server import ScriptedServer

__all__ = ["Bill", "Charge", "Fault", "Reply", "Script", "ScriptedServer", "content_hash", "echo", "reverse"]
