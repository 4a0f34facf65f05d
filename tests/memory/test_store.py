"""The store: what is kept once, for how long, and what the account says."""

from __future__ import annotations

import gc

import pytest
import torch
from torch import Tensor

from axsim.errors import AxsimWarning
from axsim.memory.codec import Hints, Norm
from axsim.memory.codecs.batch_norm import BatchNormCodes
from axsim.memory.codecs.bit_mask import BitMask
from axsim.memory.codecs.group_affine import GroupAffine
from axsim.memory.codecs.identity import Identity
from axsim.memory.ledger import Moment
from axsim.memory.policies.fixed import Fixed
from axsim.memory.policy import Policy, Slot
from axsim.memory.store import Handle, Store

FIRST, SECOND = Slot("first"), Slot("second")
TWO = Fixed(2)
CODED = 4 * 2 * 32 + 4 * 4


def save(store: Store, x: Tensor, slot: Slot = FIRST) -> Handle:
    return store.save(x, slot, GroupAffine(), TWO)


def test_codes_are_kept_as_long_as_a_handle() -> None:
    store, x = Store(), torch.randn(4, 256)
    handle = save(store, x)
    assert (store.ledger.kept, store.ledger.exact) == (CODED, 4096)
    out = handle.load()
    assert torch.equal(out, handle.load())
    assert (out - x).abs().max() < 3
    other = handle.view(lambda packed: packed.decode() > 0)
    del handle
    assert store.ledger.kept == CODED
    assert other.load().dtype == torch.bool
    del other
    assert (store.ledger.kept, store.ledger.exact) == (0, 0)


def test_an_input_of_two_layers_is_kept_once() -> None:
    joined = list[tuple[str, str]]()

    class Told(Fixed):
        def join(self, slot: Slot, owner: Slot) -> None:
            joined.append((slot.name, owner.name))

    store, x, policy = Store(), torch.randn(4, 256), Told(2)
    first = store.save(x, FIRST, GroupAffine(), policy)
    second = store.save(x, SECOND, GroupAffine(), policy)
    assert first.entry is second.entry
    assert store.ledger.kept == CODED
    assert joined == [("second", "first")]
    assert [line.shared for line in store.ledger.lines] == [0, 1]
    # Another codec keeps something else.
    mask = store.save(x, SECOND, BitMask(), TWO)
    assert mask.entry is not first.entry
    # After the handles, nothing is found.
    del first, second, mask
    assert store.find(x, GroupAffine()) is None
    assert store.ledger.kept == 0


def test_views_of_one_storage_are_different_tensors() -> None:
    store, x = Store(), torch.randn(512, 512)
    handles = [save(store, t) for t in (x, x.t(), x[1:], x.view(256, 1024), x)]
    assert handles[0].entry is handles[4].entry
    assert len({id(handle.entry) for handle in handles}) == 4
    for handle, t in zip(handles, (x, x.t(), x[1:], x.view(256, 1024)), strict=False):
        assert handle.load().shape == t.shape


def test_a_changed_tensor_is_another() -> None:
    store, x = Store(), torch.randn(4, 256)
    first = save(store, x)
    x.add_(100)
    second = save(store, x)
    assert first.entry is not second.entry
    assert second.load().mean() > 50 > first.load().mean()


def test_memory_that_is_used_again_is_no_false_hit() -> None:
    store, handles, addresses = Store(), list[Handle](), list[int]()
    for value in range(200):
        x = torch.full((4, 256), float(value))
        addresses.append(x.data_ptr())
        handles.append(save(store, x))
        del x
    # The point of the test: addresses did come back.
    assert len(set(addresses)) < 200
    assert len({id(handle.entry) for handle in handles}) == 200
    for value, handle in enumerate(handles):
        assert (handle.load() - value).abs().max() <= value / 128


def test_one_code_of_a_batch_norm_serves_three_layers() -> None:
    store, codec = Store(), BatchNormCodes()
    z = torch.randn(8, 4, 8, 8)
    hints = Hints(norm=Norm(torch.ones(4), torch.zeros(4)))
    saved = store.save(z, Slot("bn", "norm_in"), codec, Fixed(4), hints)
    found = store.find(z)
    assert found is None
    store.link(z, saved)
    found = store.find(z)
    assert found is not None
    mask = found.view(codec.mask)
    y = z.relu()
    store.link(y, found.view(codec.rectified))
    product = store.save(y, Slot("conv", "matmul_in"), GroupAffine(), TWO)
    assert product.entry is saved.entry
    assert torch.equal(mask.load(), z > 0)
    assert torch.equal(product.load(), saved.load().relu())
    # 4 bits an element for the three of them: 16 times less than norm, ReLU and conv.
    assert store.ledger.kept == 4 * (4 * 4 * 16 + 8)


def test_same_seed_same_codes_whatever_torch_draws() -> None:
    x = torch.randn(4, 256)
    first = save(Store(seed=1, rank=0), x).load()
    torch.rand(10)
    assert torch.equal(save(Store(seed=1, rank=0), x).load(), first)
    assert not torch.equal(save(Store(seed=2, rank=0), x).load(), first)
    assert not torch.equal(save(Store(seed=1, rank=1), x).load(), first)
    # Within a store every tensor has a key of its own.
    store = Store(seed=1, rank=0)
    assert not torch.equal(save(store, x).load(), save(store, x.clone()).load())


def test_the_account_over_time() -> None:
    store = Store()
    a, b = save(store, torch.randn(4, 256)), save(store, torch.randn(4, 256), SECOND)
    del a
    gc.collect()
    expected = [
        Moment("first", CODED, 4096),
        Moment("second", 2 * CODED, 8192),
        Moment("first", CODED, 4096),
    ]
    assert store.ledger.moments == expected
    assert store.ledger.peak == expected[1]
    store.end_step()
    assert store.ledger.moments == expected
    del b
    assert store.ledger.moments == [Moment("second", 0, 0)]


def test_what_is_not_finite_is_counted_and_reported() -> None:
    store, x = Store(), torch.randn(4, 256)
    x[0, 0] = float("nan")
    handle = save(store, x)
    assert store.ledger.lines[0].raw == {"not finite": 1}
    assert "1 not finite" in str(store)
    assert handle.load().isnan().any()


def test_the_table() -> None:
    store = Store()
    handles = [save(store, torch.randn(4, 256))]
    store.errors = True
    handles.append(save(store, torch.ones(3), SECOND))
    assert str(store) == (
        "slot    codec        elements   bits  bytes  share  error  shared  raw\n"
        "------  -----------  --------  -----  -----  -----  -----  ------  -------\n"
        "first   GroupAffine     1,024   2.12    272  95.8%              0\n"
        "second  Identity            3  32.00     12   4.2%  0.00%       0  1 small\n"
        "\n"
        "most kept at once: 284 bytes; the tensors themselves: 4,108"
    )
    assert len(handles) == 2


def test_errors_are_measured_where_asked() -> None:
    store, x = Store(errors=True), torch.randn(40, 256)
    out = save(store, x).load()
    (line,) = store.ledger.lines
    found = ((out - x).norm() / x.norm()).item()
    assert line.relative_error == pytest.approx(found, rel=1e-5)
    plain = Store()
    save(plain, x)
    assert plain.ledger.lines[0].square == 0


def test_handles_may_outlive_the_store_and_the_policy() -> None:
    policy: Policy = Fixed(8)
    x = torch.randn(4, 256)
    handle = Store().save(x, FIRST, GroupAffine(), policy)
    gc.collect()
    assert (handle.load() - x).abs().max() < 0.1


def test_swap_without_a_gpu_says_so_and_works() -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.warns(AxsimWarning, match="swap=True without a CUDA device"):
        store = Store(swap=True)
    assert not store.swap
    handle = save(store, torch.ones(4, 256))
    assert torch.equal(handle.load(), torch.ones(4, 256))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_swapped_codes_come_back() -> None:
    store = Store(swap=True)
    tensors = [torch.randn(1000, 1000, device="cuda") for _ in range(6)]
    handles = [store.save(x, FIRST, Identity(), TWO) for x in tensors]
    for handle, x in zip(reversed(handles), reversed(tensors), strict=True):
        assert handle.entry.place.packed().payload[0].is_cuda
        assert torch.equal(handle.load(), x)
        assert torch.equal(handle.load(), x)
