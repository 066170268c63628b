"""How the page looks: one theme, one type scale, one spacing scale, one accent; light and dark."""

from pathlib import Path

import gradio as gr
from gradio.themes.utils import colors, sizes

HERE = Path(__file__).parent
SYSTEM_FONT = ("ui-sans-serif", "system-ui", "sans-serif")
NO_BAR = ".nav-holder { display: none; }"
SYSTEM_MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "monospace")


def theme() -> gr.themes.Base:
    """Gradio's Base with hairlines instead of boxes, and one blue accent."""
    return gr.themes.Base(
        primary_hue=colors.blue,
        neutral_hue=colors.zinc,
        radius_size=sizes.radius_sm,
        text_size=sizes.text_md,
        font=SYSTEM_FONT,
        font_mono=SYSTEM_MONO,
    ).set(
        body_background_fill="#fcfcfb",
        body_background_fill_dark="#131416",
        body_text_color_subdued="*neutral_600",  # Base's own is too pale to read
        body_text_color_subdued_dark="*neutral_400",
        block_background_fill="transparent",
        block_background_fill_dark="transparent",
        block_border_width="0px",
        block_shadow="none",
        block_padding="0px",
        block_label_text_weight="500",
        block_title_text_weight="500",
        block_title_text_color="*neutral_800",
        block_title_text_color_dark="*neutral_200",
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_400",
        input_background_fill="#ffffff",
        input_background_fill_dark="#1b1d20",
        input_border_width="1px",
        input_border_color="*neutral_300",
        input_border_color_dark="*neutral_700",
        input_border_color_focus="*primary_700",  # Base's own is too pale to show who has the keyboard
        input_border_color_focus_dark="*primary_400",
        input_shadow_focus="0 0 0 1px *primary_700",
        input_shadow_focus_dark="0 0 0 1px *primary_400",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_dark="*primary_600",
        button_primary_background_fill_hover_dark="*primary_700",
        button_primary_text_color="#ffffff",
        panel_background_fill="transparent",
        panel_border_width="0px",
        layout_gap="18px",
    )


def head() -> str:
    """What the page's <head> has of its own.

    Gradio puts a bar with links over an app of several pages, whatever `gr.Navbar(visible=False)` says; its own rules
    for `css` do not reach it.
    """
    return f"<style>{NO_BAR}</style><script>{(HERE / 'page.js').read_text(encoding='utf-8')}</script>"


def css() -> str:
    """What all tabs share, then each tab's own, and the quiz's."""
    shared = [HERE / "page.css", *sorted(HERE.glob("shared/*.css"))]
    files = [*shared, *sorted(HERE.glob("*/tab.css")), *sorted(HERE.glob("*/quiz.css"))]
    return "".join(path.read_text(encoding="utf-8") for path in files)
