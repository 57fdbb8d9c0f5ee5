"""The HTML page of a study: its figure and its numbers in one file, light and dark."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

from recgym.benchmark.page import document, section, tag
from recgym.benchmark.page import picture as image
from recgym.benchmark.studies import Study
from recgym.benchmark.suites import Metric
from recgym.benchmark.wording import METHOD


def study_page(study: Study, agents: Any, picture: Path) -> str:
    """The whole page as text.

    Args:
        study: what was run.
        agents: the first frame of :func:`recgym.benchmark.studies.frames`.
        picture: PNG of the study's figure, which goes into the page.
    """
    suite = next(iter(study.suites.values()))
    where = ", ".join(f"{key}={value}" for key, value in suite.env_kwargs.items())
    parts = [section("Figure", image(picture, study.title))]
    means = agents[agents["statistic"] == "mean"]
    for setting in dict.fromkeys(means["setting"]):
        head = f"{study.varies}: {setting}" if len(study.suites) > 1 else "Numbers"
        parts.append(section(head, _table(means[means["setting"] == setting], suite.metrics)))
    parts.append(section("How to read it", f"<p>{METHOD}</p>"))
    body = "\n".join(parts)
    about = f"{suite.env_id}{f' ({where})' if where else ''} · {len(suite.seeds)} seeds"
    return document(f"{suite.title}: {study.title}", about, body)


def _table(means: Any, metrics: tuple[Metric, ...]) -> str:
    heads = ["agent", "saw", *(f"{m.label} {m.arrow}".strip() for m in metrics)]
    rows = []
    for agent in dict.fromkeys(means["agent"]):
        mine = means[means["agent"] == agent].set_index("metric")
        kind = str(mine["saw"].iloc[0])
        cells = [f'<td class="name">{escape(agent)}</td>', f"<td>{tag(kind)}</td>"]
        for metric in metrics:
            if metric.key not in mine.index:
                cells.append("<td></td>")
                continue
            value, low, high = (mine.loc[metric.key, key] for key in ("value", "low", "high"))
            text = f"[{low:.{metric.decimals}f}, {high:.{metric.decimals}f}]"
            cells.append(
                f"<td>{value:.{metric.decimals}f}".replace("-", "−")
                + f'<span class="interval">{text.replace("-", "−")}</span></td>'
            )
        rows.append(f'<tr class="{escape(kind)}">{"".join(cells)}</tr>')
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    return f'<div class="scroll"><table>\n<tr>{head}</tr>\n{chr(10).join(rows)}\n</table></div>'
