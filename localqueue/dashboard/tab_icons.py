"""Draw the icons of a tab with failed jobs: one for each number up to nine, and one for more."""

from __future__ import annotations

_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><rect width="16" height="16" rx="3.5" fill="#bb2a20"/>'
    '<text x="8" y="{y}" fill="#fff" font-family="sans-serif" font-size="{size}" font-weight="700" '
    'text-anchor="middle">{text}</text></svg>\n'
)


def tab_icons() -> dict[str, str]:
    """Return each icon by file name, as SVG. The content security policy allows no data URLs, so they are served."""
    icons = {str(count): _ICON.format(y=11.8, size=10.5, text=count) for count in range(1, 10)}
    icons["more"] = _ICON.format(y=10.6, size=7, text="9+")
    return {f"icon_failed_{name}.svg": icon for name, icon in icons.items()}
