"""What is generated is what is committed: the definitions, the API reference, the chart's table of values."""

import generate
import tidegate_api_docs


def test_every_generated_file_is_up_to_date() -> None:
    """A model, or the way from models to schemas and pages, that gives anything else shows here, and its effect in the difference."""
    stale = [path.name for path, text in generate.rendered().items() if not path.exists() or path.read_text() != text]
    assert stale == [], "run `make generate`"
    assert set(tidegate_api_docs.FOLDER.iterdir()) == set(tidegate_api_docs.rendered()), "a page of a kind that there is no more"
