"""What the shell completes: pages, and `group=option`."""

import click
from click.shell_completion import CompletionItem

from recipes.load import groups, pages


class PageType(click.ParamType[str]):
    """A page's name, completed by the shell."""

    name = "page"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return [CompletionItem(page) for page in pages() if page.startswith(incomplete)]


class OverrideType(click.ParamType[str]):
    """`group=option` and `key=value`, the groups completed by the shell."""

    name = "override"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        choices = [f"{group}={option}" for group, options in groups().items() for option in options]
        return [CompletionItem(choice) for choice in [*choices, "root="] if choice.startswith(incomplete)]
