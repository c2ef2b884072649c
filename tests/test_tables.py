"""Tables of a user's own: read as they stand, and every mistake in them told on one line."""

import numpy as np
import pandas as pd
import pytest

from deqn.project.errors import UserError
from deqn.project.tables import read_series, read_table

HEADER = "date,price,wind\n"
ROWS = ["2009-01-01,996.52,1.03", "2009-01-02,996.57,0.72", "2009-01-03,996.53,0.19", "2009-01-04,996.51,0.34"]


def write(folder, rows, header=HEADER):
    (folder / "own.csv").write_text(header + "\n".join(rows) + "\n")
    return folder / "own.csv"


def test_a_series_is_read_as_it_stands_from_csv_and_parquet_alike(tmp_path):
    read = read_series(write(tmp_path, ROWS))
    assert read.time[0] == np.datetime64("2009-01-01") and set(read.repaired.values()) == {0}
    np.testing.assert_array_equal(read.values[1], [996.57, 0.72])
    pd.read_csv(tmp_path / "own.csv", parse_dates=["date"]).to_parquet(tmp_path / "own.parquet")
    same = read_series(tmp_path / "own.parquet")
    np.testing.assert_array_equal(same.values, read.values)
    np.testing.assert_array_equal(same.time, read.time)
    pd.read_csv(tmp_path / "own.csv", parse_dates=["date"], index_col="date").to_parquet(tmp_path / "indexed.pq")
    np.testing.assert_array_equal(read_series(tmp_path / "indexed.pq").time, read.time)
    np.testing.assert_array_equal(read_series(tmp_path / "own.csv", ["wind"]).values[:, 0], read.values[:, 1])


def test_semicolons_with_a_decimal_comma_are_read(tmp_path):
    path = write(tmp_path, ["31.12.2009;1,5;2", "01.01.2010;1,25;3"], "date;price;wind\n")
    read = read_series(path)
    np.testing.assert_array_equal(read.values, [[1.5, 2], [1.25, 3]])
    assert read.time[1] == np.datetime64("2010-01-01")


@pytest.mark.parametrize(
    ("dates", "second"),
    [
        (("2009Q4", "2010Q1"), "2010-01-01"),
        (("2009M12", "2010M1"), "2010-01-01"),
        (("2009-12", "2010-01"), "2010-01-01"),
        (("2009", "2010"), "2010-01-01"),
        (("31.12.2009 23:50:00", "01.01.2010 00:10:00"), "2010-01-01T00:10"),
        (("2009-12-31 23:50:00", "2010-01-01T00:10:00"), "2010-01-01T00:10"),
    ],
)
def test_dates_of_any_frequency_are_read(tmp_path, dates, second):
    read = read_series(write(tmp_path, [f"{each},1,{i}" for i, each in enumerate(dates)]))
    assert read.time[1] == np.datetime64(second) and read.time[0] < read.time[1]


def test_a_form_of_dates_may_be_named(tmp_path):
    path = write(tmp_path, ["3/4/2009,1,2"])
    assert read_series(path, date_format="%d/%m/%Y").time[0] == np.datetime64("2009-04-03")
    assert read_series(path, date_format="%m/%d/%Y").time[0] == np.datetime64("2009-03-04")


def test_what_is_out_of_order_or_missing_is_mended_if_asked_and_counted(tmp_path):
    rows = [ROWS[0], ROWS[2], ROWS[1], ROWS[1].replace("996.57", "99"), ROWS[3].replace("0.34", "")]
    read = read_series(write(tmp_path, rows), repair=True)
    assert np.all(np.diff(read.time) == np.timedelta64(1, "D"))
    np.testing.assert_array_equal(read.values[:, 0], [996.52, 996.57, 996.53, 996.51])
    np.testing.assert_array_equal(read.values[:, 1], [1.03, 0.72, 0.19, 0.19])
    assert list(read.repaired.values()) == [1, 1, 1]


def test_gaps_stay_gaps_if_they_may(tmp_path):
    rows = [ROWS[0].replace("1.03", ""), ROWS[1].replace("996.57", "-9999")]
    values = read_series(write(tmp_path, rows), gaps=True, missing=[-9999.0]).values
    np.testing.assert_array_equal(values, [[996.52, np.nan], [np.nan, 0.72]])


@pytest.mark.parametrize(
    ("rows", "words", "more"),
    [
        ([ROWS[0], ROWS[2], ROWS[1]], "line 4: date 2009-01-02 00:00:00 follows 2009-01-03 .*, expected a later", {}),
        ([ROWS[0], ROWS[1], ROWS[1]], "line 4: date 2009-01-02 00:00:00 follows 2009-01-02 .*, expected a later", {}),
        ([ROWS[0], ROWS[1].replace("0.72", "")], r"line 3: wind is missing, expected a number", {}),
        ([ROWS[0], ROWS[1].replace("0.72", "cold")], r"line 3: wind is 'cold', expected a number", {}),
        ([ROWS[0], ROWS[1].replace("0.72", "inf")], r"line 3: wind is 'inf', expected a finite number", {}),
        ([ROWS[0], ROWS[1].replace("2009-01-02", "soon")], "line 3: date is 'soon', expected a date such as 2009-", {}),
        ([ROWS[0], ROWS[1].replace("2009-01-02", "")], "line 3: date is missing, expected a date", {}),
        ([], "no row, expected one or more", {}),
        (ROWS, r"no column 'wnd'; did you mean 'wind'\?", {"columns": ["wnd"]}),
        (ROWS, r"no column 'time'; known: date, price, wind", {"date": "time"}),
        ([ROWS[0].replace("1.03", ""), *ROWS[1:]], r"'wind' begins with a missing value", {"repair": True}),
        (["2009-01-01,1,2,3,4"], "own.csv: can't be read as a table|line 2: date is", {}),
    ],
)
def test_a_mistake_is_told_in_one_line_with_its_place(tmp_path, rows, words, more):
    with pytest.raises(UserError, match=rf"parameters\.file: .*own\.csv.*{words}|{words}") as told:
        read_series(write(tmp_path, rows), **more)
    assert "\n" not in str(told.value) and str(told.value).startswith("parameters.file: ")


def test_a_file_that_is_not_there_or_no_table_is_told(tmp_path):
    with pytest.raises(UserError, match=r"nothing\.csv: no such file, expected a CSV or Parquet file"):
        read_table(tmp_path / "nothing.csv", [])
    (tmp_path / "own.parquet").write_text("no parquet")
    with pytest.raises(UserError, match=r"own\.parquet: can't be read as a table"):
        read_table(tmp_path / "own.parquet", [])
