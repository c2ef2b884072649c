"""The report against made run folders whose numbers are known."""

import csv
import json
import math
import shutil
import subprocess
import sys
from pathlib import Path

import matplotlib.colors
import matplotlib.image
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from deqn.project.errors import CannotWrite, UserError
from deqn.project.metrics import Metrics
from deqn.report import files, tables
from deqn.report.bands import by_axis, by_shock, stages
from deqn.report.figures import draw_all
from deqn.report.paper import COLOURS, MIDDLE, PALE, for_journal, paper_style
from deqn.report.training import training_figure

AGES = np.arange(21, 81)
DESCRIBED = {
    "economy": "OLG",
    "axis_labels": {"age": "age [years]"},
    "figures": {
        "capital_by_age": ["capital"],
        "consumption_by_age": ["consumption"],
        "multiplier_by_age": ["multiplier"],
        "euler_by_age": ["log10_euler", "log10_optimality"],
        "kkt_by_age": ["log10_kkt"],
    },
    "stage_variables": ["capital", "multiplier", "consumption", "log10_euler"],
    "shock_variables": ["financial_wealth", "total_income", "consumption"],
    "condition_names": {
        "optimality": "Euler error, multiplier-free", "euler": "relative Euler error", "kkt": "KKT error"
    },
    "printed": ["errors", "moments", "welfare"],
}  # fmt: skip
STATISTICS = ["mean", "max", "p0.1", "p10", "p50", "p90", "p99.9"]
PERCENTILES = {"p0.1": -3.09, "p10": -1.28, "p50": 0.0, "p90": 1.28, "p99.9": 3.09}


def write(path, header, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


def write_errors(folder):
    """errors.csv with AGS19's Table 3 as pooled rows, and by shock and binding small multiples of it."""
    euler = [0.0006, 0.0131, 0.0, 0.0001, 0.0004, 0.0013, 0.0054]
    kkt = [0.0001, 0.0025, 0.0, 0.0, 0.0, 0.0002, 0.0015]
    small = [0.000032, 0.00208, 3e-8, 0.0000041, 0.000022, 0.00008, 0.00061]
    rows = []
    for condition, unit, line in (
        ("optimality", "relative", small),
        ("euler", "relative", euler),
        ("kkt", "product", kkt),
    ):
        rows.append([condition, "all", "", unit, 590000, *line])
        rows += [[condition, "age", age, unit, 10000, *line] for age in AGES[:-1]]
        rows += [[condition, "shock", z, unit, 147500, *[z * x for x in line]] for z in range(1, 5)]
        rows += [[condition, "binding", "binding", unit, 59000, *[0.0] * 7]]
        rows += [[condition, "binding", "free", unit, 531000, *line]]
    write(folder / "errors.csv", ["condition", "group", "key", "unit", "n", *STATISTICS], rows)


def profile(variable, unit, centre, spread, ages=AGES, shocks=("all", 1, 2, 3, 4)):
    """Rows of by_age.csv: normal percentiles round a centre by age, shifted a little by shock."""
    for position, shock in enumerate(shocks):
        for age, middle, wide in zip(ages, centre, spread, strict=True):
            shift = 0.0 if shock == "all" else (position - 2.5) * 0.3 * wide
            bands = [middle + shift + wide * PERCENTILES[name] for name in PERCENTILES]
            yield [variable, unit, shock, age, middle + shift, *bands]


def write_by_age(path, noise=1.0, level=-4.6):
    """A hump of capital, rising consumption, a multiplier on the young, log10 errors around `level`."""
    x = (AGES - 21) / 59
    hump = 6.5 * np.sin(np.pi * x**1.3) ** 1.2 + 0.02
    consumption = 0.45 + 0.25 * x
    young = np.clip(0.9 - 6 * x, 0, None)
    good = "units of the good"
    rows = [
        *profile("capital", good, hump, 0.05 + 0.12 * noise * hump),
        *profile("consumption", f"{good} per year", consumption, 0.03 * noise + 0.02 * x),
        *profile("multiplier", "utility per unit of the good", young, 0.08 * noise * young),
        *profile("financial_wealth", good, 1.05 * hump, 0.12 * hump),
        *profile("total_income", good, 1.05 * hump + 0.5, 0.12 * hump + 0.05),
        *profile("log10_euler", "log10", level + 0.4 * np.cos(6 * x), 0.5 + 0 * x, shocks=["all"]),
        *profile("log10_optimality", "log10", level + 0.5 * np.cos(6 * x), 0.5 + 0 * x, shocks=["all"]),
        *profile(
            "log10_kkt", "log10", np.where(x < 0.2, level - 1, -16.0), np.where(x < 0.2, 0.4, 0.0), shocks=["all"]
        ),
    ]
    write(path, ["variable", "unit", "shock", "age", "mean", *PERCENTILES], rows)


def write_metrics(folder, updates=400, validated=True):
    header = ["update", "episode", "loss", "loss_max", *(f"worst.{each}" for each in ("mean", "p99.9", "max"))]
    header += ["cpu_seconds", "learning_rate"]
    rows = []
    for update in range(1, updates + 1):
        loss = 1e-2 * update**-1.5 * (1 + 0.3 * math.sin(update**2))
        error = [2e-2 / update, 0.3 / update, 2 / update] if validated and update % 20 == 0 else [""] * 3
        rows.append([update, update, loss, 2 * loss, *error, 18 + 0.04 * update, 1e-3])
    write(folder / "metrics.csv", header, rows)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run of the 60-cohort economy, its figures drawn."""
    folder = tmp_path_factory.mktemp("runs") / "benchmark60"
    folder.mkdir()
    write_errors(folder)
    write_by_age(folder / "by_age.csv")
    for percent, noise, level in ((1, 2.5, -1.5), (5, 1.6, -2.7), (100, 1.0, -4.6)):
        write_by_age(folder / "stages" / f"{percent}.csv", noise, level)
    write_metrics(folder)
    names = [f"shock {z}: TFP {eta}, depreciation {delta}" for z, eta, delta in ((1, 0.85, 0.5), (2, 1.15, 0.5))]
    names += ["shock 3: TFP 0.85, depreciation 0.9", "shock 4: TFP 1.15, depreciation 0.9"]
    (folder / "description.json").write_text(json.dumps(DESCRIBED | {"shock_names": names}))
    moments = [["K", "mean", "all", "", 123.456], ["K", "std", "all", "", 9.87], ["Y", "mean", "all", "", 40.0]]
    moments += [["K", "mean", "shock", 1, 100.25], ["Y", "correlation_with_output", "all", "", 1.0]]
    write(folder / "moments.csv", ["variable", "statistic", "group", "key", "value"], moments)
    made = draw_all(folder)
    return folder, made


def cells(table):
    """The body of a Markdown table as lists of stripped cells, first row the header."""
    lines = tables.text(table).splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if "---" not in line]


def test_the_error_table_prints_the_papers_table_3_as_the_paper_does(run):
    table = {tuple(row[:2]): row[2:] for row in cells(tables.error_table(run[0]))}
    assert table["error", "unit"] == STATISTICS
    assert table["relative Euler error", "%"] == [".060", "1.31", "0", ".010", ".040", ".13", ".54"]
    assert table["KKT error", "x1e-2"] == [".010", ".25", "0", "0", "0", ".020", ".15"]
    assert table["Euler error, multiplier-free", "%"][:3] == [".0032", ".21", "3.0e-6"]


@pytest.mark.parametrize(
    ("value", "printed"),
    [(0.0032, ".0032"), (0.0996, ".100"), (0.996, "1.00"), (12.34, "12.3"), (123.4, "123.4"), (9.4e-10, "9.4e-10")]
    + [(0, "0"), (math.nan, "NaN"), (math.inf, "inf"), (-0.35, "-.35")],
)
def test_a_number_keeps_two_significant_digits(value, printed):
    assert tables.digits(value) == printed


def test_the_second_table_says_in_which_shocks_and_where_the_constraint_binds_the_errors_sit(run):
    table = cells(tables.where_table(run[0]))
    assert table[0][2:] == ["shock 1", "shock 2", "shock 3", "shock 4", "binding", "free"]
    euler = next(row for row in table if row[0] == "relative Euler error")
    assert euler[2:] == [".060 / 1.31", ".12 / 2.62", ".18 / 3.93", ".24 / 5.24", "0 / 0", ".060 / 1.31"]
    assert table[-1] == ["share of observations", "%", "25.0", "25.0", "25.0", "25.0", "10.0", "90.0"]


def test_an_economy_with_one_condition_and_no_ages_has_its_tables(tmp_path):
    header = ["condition", "group", "key", "unit", "n", *STATISTICS]
    write(tmp_path / "errors.csv", header, [["euler", "all", "", "relative", 10, *[0.001] * 7]])
    assert cells(tables.error_table(tmp_path))[1] == ["euler", "%", *[".10"] * 7]
    assert len(cells(tables.where_table(tmp_path))) == 1


def test_an_empty_group_is_an_empty_cell_and_what_is_no_number_is_nan(tmp_path):
    header = ["condition", "group", "key", "unit", "n", *STATISTICS]
    some = ["euler", "all", "", "relative", 10, math.nan, *[0.001] * 6]
    free = ["euler", "binding", "free", "relative", 10, *[0.001] * 7]
    write(tmp_path / "errors.csv", header, [some, ["euler", "binding", "binding", "relative", 0, *[""] * 7], free])
    assert cells(tables.error_table(tmp_path))[1][2:4] == ["NaN", ".10"]
    assert cells(tables.where_table(tmp_path))[1] == ["euler", "%", "", ".10 / .10"]


def test_a_shock_that_was_never_visited_has_its_column_and_no_share(tmp_path):
    header = ["condition", "group", "key", "unit", "n", *STATISTICS]
    rows = [
        ["euler", group, key, "relative", 10, *[0.001 * key] * 7] for group, key in (("shock", 1), ("unvisited", 2))
    ]
    write(tmp_path / "errors.csv", header, rows)
    table = cells(tables.where_table(tmp_path))
    assert table[0][2:] == ["shock 1", "shock 2, never visited"]
    assert [row[2:] for row in table[1:]] == [[".10 / .10", ".20 / .20"], ["100.0", "0"]]


def test_the_moments_table_has_a_row_for_each_variable_and_leaves_unknown_moments_blank(run):
    table = cells(tables.moments_table(run[0]))
    heading = ["variable", "mean", "std", "autocorrelation", "correlation with output", "mean, shock 1"]
    assert table == [heading, ["K", "123.5", "9.87", "", "", "100.2"], ["Y", "40", "", "", "1", ""]]


def test_what_a_run_has_found_is_printed_in_the_order_that_its_problem_says(run):
    folder, _ = run
    write(folder / "welfare.csv", ["group", "gain"], [["young", 0.0123456], ["[old]", -2]])
    found = dict(tables.to_print(folder))
    titles = ["errors", "errors by shock, and where a constraint binds", "moments", "welfare"]
    assert list(found) == titles
    assert cells(found["welfare"])[1:] == [["young", "0.01235"], ["[old]", "-2"]]


def test_an_economy_that_names_no_figures_has_one_for_each_variable(run, tmp_path):
    shutil.copy(run[0] / "by_age.csv", tmp_path)
    drawn = {drawing.name: drawing for drawing in by_axis(tmp_path)}
    assert list(drawn)[:3] == ["capital_by_age", "consumption_by_age", "multiplier_by_age"]
    assert drawn["euler_by_age"].figure.axes[0].get_ylabel() == r"$\log_{10}$ |euler|"
    assert drawn["capital_by_age"].figure.axes[0].get_xlabel() == "age"


def test_a_table_shown_as_markdown_stays_what_it_was_for_the_terminal(run):
    table = tables.error_table(run[0])
    before = table.box
    tables.text(table)
    assert table.box is before


def test_reading_tables_needs_neither_pandas_nor_matplotlib_nor_tensorflow():
    code = "import sys, deqn.report.tables; print(*{'pandas', 'matplotlib', 'tensorflow', 'numpy'} & set(sys.modules))"
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, check=True, cwd=Path(__file__).parents[1], capture_output=True, text=True)
    assert run.stdout.strip() == ""


def test_a_missing_error_file_says_what_to_run(tmp_path):
    with pytest.raises(UserError, match=r"errors.csv: not found; run `deqn evaluate`"):
        tables.error_table(tmp_path)


@pytest.mark.parametrize(
    ("header", "row", "seen"),
    [("variable,statistic,group,key", "K,mean,all,", "no column 'value' among variable"),
     ("variable,statistic,group,key,value", "K,mean,all,,much", "line 2, value: 'much' is no number"),
     ("variable,statistic,group,key,value", "K,mean", "line 2, value: 'None' is no number")],
)  # fmt: skip
def test_a_damaged_file_is_one_line_with_file_place_and_cure(tmp_path, header, row, seen):
    (tmp_path / "moments.csv").write_text(f"{header}\n{row}\n")
    with pytest.raises(UserError, match=seen) as caught:
        tables.moments_table(tmp_path)
    assert "moments.csv" in str(caught.value)
    assert "deqn evaluate" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("read", "cure"), [(Metrics, ""), (training_figure, ".*train the run again")])
def test_metrics_that_are_no_text_are_told_in_one_line(tmp_path, read, cure):
    (tmp_path / "metrics.csv").write_bytes(b"update,loss\n1,\xff\xfe\n")
    with pytest.raises(UserError, match=rf"metrics\.csv: cannot be read{cure}"):
        read(tmp_path / "metrics.csv" if read is Metrics else tmp_path)


def test_an_unknown_unit_of_errors_is_refused(tmp_path):
    header = ["condition", "group", "key", "unit", "n", *STATISTICS]
    write(tmp_path / "errors.csv", header, [["euler", "all", "", "percent", 10, *[0.001] * 7]])
    with pytest.raises(UserError, match="unit 'percent', expected one of relative, product"):
        tables.error_table(tmp_path)


def test_a_finished_run_gets_every_figure_as_png_pdf_and_data(run):
    folder, made = run
    names = ["capital_by_age", "consumption_by_age", "multiplier_by_age", "euler_by_age", "kkt_by_age"]
    names += ["by_shock", "stages", "training"]
    assert made == [folder / "figures" / f"{name}.png" for name in names]
    for path in made:
        pixels = matplotlib.image.imread(path)[..., :3]
        assert min(pixels.shape[:2]) > 400
        assert 0.02 < (pixels < 0.99).any(axis=-1).mean() < 0.7  # neither an empty page nor a full one
        assert path.with_suffix(".pdf").read_bytes().startswith(b"%PDF")


def test_the_data_behind_the_bands_are_the_rows_of_all_shocks(run):
    folder, _ = run
    source = pd.read_csv(folder / "by_age.csv", dtype={"shock": str})
    for name, variable in (("capital_by_age", "capital"), ("kkt_by_age", "log10_kkt")):
        expected = source[(source["variable"] == variable) & (source["shock"] == "all")].drop(columns="shock")
        pd.testing.assert_frame_equal(
            pd.read_csv(folder / "figures" / f"{name}.csv"), expected.reset_index(drop=True), check_dtype=False
        )


def test_the_data_behind_the_lines_by_shock_are_the_means(run):
    folder, _ = run
    source = pd.read_csv(folder / "by_age.csv", dtype={"shock": str}).set_index(["variable", "shock", "age"])["mean"]
    drawn = pd.read_csv(folder / "figures" / "by_shock.csv", dtype={"shock": str})
    assert len(drawn) == 3 * 4 * 60
    assert (
        source.loc[list(zip(drawn["variable"], drawn["shock"], drawn["age"], strict=True))].values == drawn["mean"]
    ).all()


def test_the_data_behind_the_stages_carry_the_percent_of_training(run):
    folder, _ = run
    drawn = pd.read_csv(folder / "figures" / "stages.csv")
    assert list(drawn["percent"].unique()) == [1, 5, 100]
    last = pd.read_csv(folder / "stages" / "100.csv").query("variable == 'log10_euler'")["p99.9"].to_numpy()
    assert (drawn.query("percent == 100 and variable == 'log10_euler'")["p99.9"].to_numpy() == last).all()


def test_the_data_behind_the_training_figure_are_those_of_the_metrics(run):
    folder, _ = run
    columns = ["update", "loss", "cpu_seconds", "worst.max", "worst.p99.9", "worst.mean"]
    expected = pd.read_csv(folder / "metrics.csv")[columns]
    pd.testing.assert_frame_equal(pd.read_csv(folder / "figures" / "training.csv")[columns], expected)


def test_drawing_the_same_run_elsewhere_gives_the_same_bytes(run, tmp_path):
    folder, _ = run
    shutil.copy(folder / "metrics.csv", tmp_path)
    source = pd.read_csv(folder / "by_age.csv", dtype={"shock": str})
    source[source["variable"] == "capital"].to_csv(tmp_path / "by_age.csv", index=False)
    shutil.copy(folder / "description.json", tmp_path)
    again = draw_all(tmp_path)
    assert [path.name for path in again] == ["capital_by_age.png", "training.png"]
    for path in again:
        for end in (".png", ".pdf", ".csv"):
            first = (folder / "figures" / path.name).with_suffix(end)
            assert path.with_suffix(end).read_bytes() == first.read_bytes()


def test_errors_that_are_zero_by_construction_leave_a_readable_axis(tmp_path):
    level = np.where(AGES < 40, -5.0, -16.0)
    rows = profile("log10_kkt", "log10", level, np.where(AGES < 40, 0.4, 0.0), shocks=["all"])
    write(tmp_path / "by_age.csv", ["variable", "unit", "shock", "age", "mean", *PERCENTILES], rows)
    (drawing,) = by_axis(tmp_path)
    axes = drawing.figure.axes[0]
    assert -7 < axes.get_ylim()[0] < axes.get_ylim()[1] < -3
    assert "not shown" in axes.get_title(loc="left")
    assert drawing.data["p50"].min() == -16  # the data behind the figure stay whole


def test_without_an_error_to_show_there_is_no_legend_and_with_one_it_stands_below_the_panels(run, tmp_path):
    rows = profile("log10_kkt", "log10", np.full(60, -16.0), np.zeros(60), shocks=["all"])
    write(tmp_path / "by_age.csv", ["variable", "unit", "shock", "age", "mean", *PERCENTILES], rows)
    (empty,) = by_axis(tmp_path)
    assert not empty.figure.legends and not empty.figure.axes[0].get_legend()
    for drawing in (*by_axis(run[0]), stages(run[0]), by_shock(run[0]), training_figure(run[0])):
        if drawing.name != "kkt_by_age":
            assert len(drawing.figure.legends) == 1
        assert not any(axes.get_legend() for axes in drawing.figure.axes)


def test_all_ages_stand_within_every_panel_also_beside_variables_of_fewer_ages(tmp_path):
    ages = np.arange(21, 72, 10)
    rows = [
        *profile("capital", "", ages / 50, ages / 500, ages),
        *profile("savings", "", ages[:-1] / 50, ages[:-1] / 500, ages[:-1]),
    ]
    described = DESCRIBED | {"figures": {"both": ["capital", "savings"]}, "shock_variables": ["capital", "savings"],
                             "stage_variables": ["capital", "savings"]}  # fmt: skip
    (tmp_path / "description.json").write_text(json.dumps(described))
    for path in (tmp_path / "by_age.csv", tmp_path / "stages/100.csv"):
        write(path, ["variable", "unit", "shock", "age", "mean", *PERCENTILES], rows)
    for drawing in (*by_axis(tmp_path), stages(tmp_path), by_shock(tmp_path)):
        for axes in drawing.figure.axes:
            assert axes.get_xlim()[0] <= 20 and axes.get_xlim()[1] >= 72
            assert list(axes.get_xticks()) == list(ages)


@pytest.mark.parametrize(("shocks", "entries"), [(5, 5), (6, 6), (25, 12)])
def test_a_legend_has_equal_columns_and_at_most_a_dozen_entries(tmp_path, shocks, entries):
    rows = profile("capital", "", AGES / 50, AGES / 500, shocks=["all", *range(1, shocks + 1)])
    write(tmp_path / "by_age.csv", ["variable", "unit", "shock", "age", "mean", *PERCENTILES], rows)
    names = [f"shock {number}: ln productivity {number / 7:.5f}" for number in range(1, shocks + 1)]
    (tmp_path / "description.json").write_text(json.dumps({"shock_names": names}))
    (legend,) = by_shock(tmp_path).figure.legends
    shown = [text.get_text() for text in legend.get_texts()]
    assert len(shown) == entries and {shown[0], shown[-1]} == {names[0], names[-1]}
    assert entries % legend._ncols == 0
    assert (legend.get_title().get_text() == "12 of 25 named") == (shocks == 25)


def test_a_run_in_progress_gets_its_training_figure_and_the_line_being_written_is_left_out(tmp_path):
    write_metrics(tmp_path, updates=3, validated=False)
    with (tmp_path / "metrics.csv").open("a") as file:
        file.write("4,4,0.00")
    assert [path.name for path in draw_all(tmp_path)] == ["training.png"]
    assert list(pd.read_csv(tmp_path / "figures" / "training.csv")["update"]) == [1, 2, 3]


def test_metrics_without_clock_or_with_a_loss_that_blew_up_are_drawn(tmp_path):
    write(tmp_path / "metrics.csv", ["update", "loss"], [[1, 0.5], [2, "nan"], [3, "inf"], [4, 0.1]])
    assert [path.name for path in draw_all(tmp_path)] == ["training.png"]


def test_a_folder_with_nothing_to_plot_is_a_clear_error(tmp_path):
    (tmp_path / "metrics.csv").write_text("update,loss\n")
    with pytest.raises(UserError, match="nothing to plot, expected rows in"):
        draw_all(tmp_path)
    assert not (tmp_path / "figures").exists()


def test_a_missing_run_folder_is_a_clear_error(tmp_path):
    with pytest.raises(UserError, match="no such run folder"):
        draw_all(tmp_path / "absent")


@pytest.mark.parametrize("content", ["{", "[" * 200_000 + "]" * 200_000])
def test_a_description_that_is_no_json_or_too_deep_is_a_clear_error(tmp_path, content):
    (tmp_path / "description.json").write_text(content)
    with pytest.raises(UserError, match=r"description\.json: cannot be read"):
        files.description(tmp_path)


def test_figures_that_cannot_be_written_are_a_clear_error(tmp_path):
    write_metrics(tmp_path, updates=3)
    (tmp_path / "figures").write_text("a file where the folder should be")
    with pytest.raises(CannotWrite, match=r"training: cannot be written \(File exists\)"):
        draw_all(tmp_path)


def test_figures_for_a_journal_are_as_wide_as_its_column_or_page_and_nothing_sticks_out():
    solution = Path(__file__).parents[1] / "models/olg/solutions/three"
    with paper_style():
        found = [for_journal(drawing).figure for drawing in (*by_axis(solution), by_shock(solution))]
        for figure in found:
            canvas = FigureCanvasAgg(figure)
            canvas.draw()
            box = figure.get_tightbbox(canvas.get_renderer())
            width, height = figure.get_size_inches()
            assert box.x0 > -0.05 and box.x1 < width + 0.05 and box.y0 > -0.05 and box.y1 < height + 0.05
    assert {round(25.4 * figure.get_figwidth()) for figure in found} == {90, 190}


def test_lines_and_bands_are_told_apart_without_colours(run):
    def lightness(colour):
        return float(np.dot(matplotlib.colors.to_rgb(colour), (0.2126, 0.7152, 0.0722)))

    with paper_style():
        panel = by_shock(run[0]).figure.axes[0]
        assert (
            len({str(line.get_linestyle()) + str(line._dash_pattern) for line in panel.lines}) == len(panel.lines) > 1
        )
    shades = [lightness(each) for each in (COLOURS[0], MIDDLE, PALE, "white")]
    assert min(np.diff(shades)) > 0.09
