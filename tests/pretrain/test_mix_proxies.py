"""Mix search on real proxy runs: tiny models trained on sampled blends, read from their manifests."""

from pathlib import Path

import numpy as np
import pytest
from world import World

from recipes.stage import read_stage
from slurm.mix.fit import fit
from slurm.mix.limits import limits, most_by_tokens, rounded
from slurm.mix.proposal import propose
from slurm.mix.region import region
from slurm.mix.table import Table, read_table, table_of

OWN = {"web": 0.5, "cot": 0.5}
SHARES = (0.05, 0.3, 0.7, 0.95)  # of web
STEPS = 10


@pytest.fixture(scope="module")
def folders(world: World) -> dict[str, Path]:
    """Four blends and two runs of the own one, which differ by the order of their data."""
    blends = {f"drawn_{i}": ({"web": share, "cot": round(1 - share, 2)}, 7) for i, share in enumerate(SHARES, 1)}
    blends |= {f"own_{i}": (OWN, 7 + i) for i in range(2)}
    stages = {
        name: world.stage(f"mix_{name}", blend=blend, seed=seed, steps=STEPS, validation={"web": "web", "cot": "cot"})
        for name, (blend, seed) in blends.items()
    }
    for name, run in {name: world.start(folder) for name, folder in stages.items()}.items():
        assert run.finish().status == 0, f"{name}: {run.stderr}"
    return stages


@pytest.fixture(scope="module")
def table(folders: dict[str, Path]) -> Table:
    return table_of("proxies", {name: read_stage(folder) for name, folder in folders.items()})


def test_proxy_runs_become_a_table_of_blends_and_held_out_losses(table: Table) -> None:
    assert table.sources == ["web", "cot"]
    assert table.shares[table.names.index("drawn_1")] == pytest.approx([0.05, 0.95])
    assert set(table.targets) == {"web", "cot"}
    assert table.most_repeated == pytest.approx([0.5, 0.5])
    own = [table.targets["web"][i] for i, name in enumerate(table.names) if name.startswith("own")]
    assert len(set(own)) == 2


def test_runs_are_found_by_the_name_of_their_page_and_stage(folders: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "page").mkdir()
    (tmp_path / "page/mix_own_0-0123456789ab").symlink_to(folders["own_0"])
    (tmp_path / "page/mix_own_1-0123456789ab").symlink_to(folders["own_1"])
    found = read_table("page/mix_own_0", tmp_path)
    assert found.shares.tolist() == [[0.5, 0.5]]
    assert [stage.name for stage in found.stages] == ["mix_own_0"]


def test_the_search_finds_that_a_model_learns_what_it_is_shown(table: Table) -> None:
    fitted = fit(table, ["web", "cot"], law="linear", replicates=60)
    assert all(target.noise.degrees == 1 for target in fitted.targets)
    between = region(table, limits(table.sources))
    for name, weight in (("web", 1.0), ("cot", 1.0)):
        found = propose(fitted, between, table.most_repeated, {name: weight})
        assert found.verdict == "gain", (name, found)
        assert found.blend[table.sources.index(name)] > 0.8


def test_a_source_is_limited_by_its_tokens_and_what_was_seen_before(folders: dict[str, Path], world: World) -> None:
    stage = read_stage(folders["own_0"])
    tokens = {"web": 5000, "cot": 300}
    params = {**stage.params, "init_from_stage": True}
    after = read_stage(world.write("mix_after", "train", params, {"init": folders["own_0"], **_datasets(world)}, stage.run))
    before = 0.5 * STEPS * 32 * 4
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("slurm.mix.limits.tokens_of", lambda stage, dataset, recipes: (tokens[dataset], False))
        most = most_by_tokens(after, read_stage, {}, max_epochs=4)
    assert most["web"][0] > 1
    assert most["cot"][0] == pytest.approx((4 * 300 - before) / (STEPS * 32 * 4))
    assert "4 times its 300 tokens less 640 seen before" in most["cot"][1]
    within = limits(["web", "cot"], [], most)
    assert within.broken_by(np.array([0.4, 0.6])) == [f"cot=0.6 is outside 0 to {most['cot'][0]:.4g}{most['cot'][1]}"]
    assert rounded(np.array([1 - 0.4375, 0.4375]), within).sum() == 1


def test_runs_that_differ_in_more_than_blend_and_seed_are_no_table(folders: dict[str, Path], world: World) -> None:
    longer = world.stage("mix_longer", blend=OWN, steps=STEPS + 1, validation={"web": "web", "cot": "cot"})
    runs = {"one": read_stage(folders["own_0"]), "other": read_stage(longer)}
    with pytest.raises(ValueError, match=r"has steps=10, .* has 11: runs of one table differ in blend and seed alone"):
        table_of("proxies", runs)


def _datasets(world: World) -> dict[str, Path]:
    return {f"dataset/{name}": folder for name, folder in world.datasets.items()}
