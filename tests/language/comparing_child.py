"""A comparison that can be killed; `runpy.run_path(this file, {"ORDER": …}, "child")`.

ORDER: `recipe` and `folder`, as `compare` takes them.
"""

import torch

from stillroom.language.compare import compare

if __name__ == "child":
    torch.set_num_threads(1)
    compare(ORDER["recipe"], ORDER["folder"], apart=False)  # noqa: F821 — given by whoever runs this file
