"""Readers of music, stock prices and sensors, on small files made here; what is wrong in a file is named."""

import os
import pickle

import numpy as np
import pandas as pd
import pytest

from deqn.sequence.music import read_music
from deqn.sequence.panels import PRICES, read_sensors, read_stocks

MUSIC = {"train": [[[21, 60], [108], []], [(60, 64)]], "valid": [[[33]]], "test": [[[34], [35.0]]]}


def written(path, content, protocol=2):
    path.write_bytes(pickle.dumps(content, protocol))
    return path


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_chords_become_rows_of_88_keys(tmp_path, protocol):
    music = read_music(written(tmp_path / "m.pickle", MUSIC, protocol))
    first = music.pieces["train"][0]
    assert first.shape == (3, 88) and first.sum() == 3 and first[0, 0] == first[0, 39] == first[1, 87] == 1
    assert [len(music.pieces[split]) for split in ("train", "valid", "test")] == [2, 1, 1]
    assert music.train_mean.shape == (88,) and music.train_mean[39] == 2 / 4 and music.train_mean[12] == 0


class Harm:
    def __reduce__(self):
        return os.mkdir, ("harm",)


def test_a_pickle_that_would_run_a_program_is_refused_before_it_does(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for content, name in ((Harm(), "mkdir"), ({"train": np.zeros(3)}, "numpy")):
        path = written(tmp_path / "m.pickle", content)
        with pytest.raises(ValueError, match=rf"m\.pickle: it wants .*{name}.*, expected lists, tuples"):
            read_music(path)
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({**MUSIC, "valid": [[[21], [109]]]}, r"valid, piece 0: note 109 at t = 1, expected 21 to 108"),
        ({**MUSIC, "test": [[[20]]]}, r"test, piece 0: note 20 at t = 0"),
        ({**MUSIC, "test": [[["c"]]]}, r"note 'c' at t = 0"),
        ({"train": [], "test": []}, r"holds train, test, expected train, valid, test"),
        ([1, 2], r"holds a list, expected train, valid, test"),
        ({**MUSIC, "train": []}, r"train is empty, expected pieces"),
    ],
)
def test_what_is_no_music_is_named(tmp_path, content, message):
    with pytest.raises(ValueError, match=message):
        read_music(written(tmp_path / "m.pickle", content))


def test_a_file_that_is_no_pickle_is_named(tmp_path):
    (tmp_path / "m.pickle").write_text("notes")
    with pytest.raises(ValueError, match=r"m\.pickle: no pickle"):
        read_music(tmp_path / "m.pickle")


def stocks(tmp_path, companies=6, days=12, change=lambda table: table):
    generator = np.random.default_rng(0)
    rows = [
        {"date": f"2008-01-{day + 1:02}", "symbol": f"S{company}", **dict(zip(PRICES, values, strict=True))}
        for company in range(companies)
        for day, values in enumerate(np.exp(np.cumsum(generator.normal(size=(days, 5)), axis=0)))
    ]
    change(table := pd.DataFrame(rows).sample(frac=1, random_state=1)).to_csv(tmp_path / "s.csv", index=False)
    return tmp_path / "s.csv", table


def test_stock_sequences_are_standardised_log_ratios_of_their_own_companies_and_half(tmp_path):
    path, table = stocks(tmp_path)
    panel = read_stocks(path, np.random.default_rng(1), companies=(3, 1, 2), days=5)
    assert panel.train.shape == (3, 5, 5) and panel.valid.shape == (1, 5, 5) and panel.test.shape == (2, 5, 5)
    np.testing.assert_allclose(panel.train.mean(axis=(0, 1)), 0, atol=1e-12)
    np.testing.assert_allclose(panel.train.std(axis=(0, 1)), 1, rtol=1e-12)
    wide = {s: group.sort_values("date")[list(PRICES)].to_numpy() for s, group in table.groupby("symbol")}
    ratios = {s: np.log(prices[1:] / prices[:-1]) for s, prices in wide.items()}

    def company(sequence, part):
        raw = sequence * panel.scale + panel.mean
        return next(s for s, r in ratios.items() if np.allclose(r[part], raw))

    found = [company(sequence, slice(None, 5)) for sequence in panel.train]
    found += [company(sequence, slice(-5, None)) for sequence in (*panel.valid, *panel.test)]
    assert sorted(found) == sorted(wide)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.assign(low=t["low"].where((t["symbol"] != "S2") | (t["date"] != "2008-01-07"), -1.0)),
         r"low of S2 on 2008-01-07 is -1\.0, expected above 0"),
        (lambda t: t.drop(columns="volume"), "no column volume; it has date, symbol"),
        (lambda t: t[t["date"] < "2008-01-09"], r"8 days, expected 12 or more"),
        (lambda t: t[t["symbol"] != "S0"], r"5 companies have all 12 days, expected 6 or more"),
        (lambda t: pd.concat([t, t.tail(1)]), r"twice, expected each date once"),
    ],
)  # fmt: skip
def test_stock_prices_that_make_no_sequences_are_named(tmp_path, change, message):
    path, _ = stocks(tmp_path, change=change)
    with pytest.raises(ValueError, match=message):
        read_stocks(path, np.random.default_rng(1), companies=(3, 1, 2), days=5)


def sensors(tmp_path, lengths=(5000, 3000, 2999), bad=None):
    generator = np.random.default_rng(2)
    frames = []
    for number, length in enumerate(lengths):
        values = generator.normal(3.0, 2.0, size=(length, 11))
        values[:, 0] = np.arange(length) / 3600
        frames.append(pd.DataFrame(values, columns=["time", *(f"R{i}" for i in range(1, 9)), "Temp.", "Humidity"]))
        frames[-1].insert(0, "id", number)
    table = pd.concat(frames)
    if bad:
        table[bad] = table[bad].astype(object).where(table["time"] > 0, "x")
    table.to_csv(tmp_path / "ht.dat", sep=" ", index=False)
    return tmp_path / "ht.dat", table


def test_sensor_windows_are_every_thirtieth_of_three_thousand_readings(tmp_path):
    path, table = sensors(tmp_path)
    panel = read_sensors(path, np.random.default_rng(3), windows=(2, 1, 1))  # at 0, 1000, 2000, and one of 3000
    assert panel.train.shape == (2, 100, 11) and panel.valid.shape == panel.test.shape == (1, 100, 11)
    np.testing.assert_allclose(panel.train.std(axis=(0, 1)), 1, rtol=1e-12)
    first = table[table["id"] == 0].drop(columns="id").to_numpy()
    raw = np.concatenate([panel.train, panel.valid, panel.test]) * panel.scale + panel.mean
    windows = [first[start : start + 3000 : 30] for start in (0, 1000, 2000)]
    assert all(min(np.abs(raw - window).max(axis=(1, 2))) < 1e-9 for window in windows)


def test_sensor_files_that_make_no_sequences_are_named(tmp_path):
    path, _ = sensors(tmp_path)
    with pytest.raises(ValueError, match="4 windows of 3000 readings, expected 5 or more"):
        read_sensors(path, np.random.default_rng(3), windows=(3, 1, 1))
    path, _ = sensors(tmp_path, bad="R3")
    with pytest.raises(ValueError, match="column R3 holds readings that are no finite numbers"):
        read_sensors(path, np.random.default_rng(3), windows=(2, 1, 1))
