# SPDX-License-Identifier: MIT
"""Shell blocks of documents, for the tests that run them."""

import re

from lib.machine import Failure


def shell_block(site, document, words):
    """The one block marked "sh" of the document (a path from the top of the tree) that holds these words."""
    text = (site.top / document).read_text()
    blocks = [block for block in re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL) if words in block]
    if len(blocks) != 1:
        raise Failure(f"{document} has {len(blocks)} blocks with {words!r}")
    return blocks[0]
