"""The line of an epoch, and how many epochs there will be."""

from microdesign.learning.training.workers.relay import describe, expected_epochs

METRICS = {"loss": 1.0, "mse": 0.12345, "learning_rate": 1e-3, "samples_per_second": 9.0, "progress": 0.5}


def test_one_line_for_people() -> None:
    assert describe(METRICS) == "loss 1.0000 (mse 0.123); 9 images/s"
    seen = {"validation_loss": 2.0, "validation_r2": 0.91, "validation_mape": 0.042, "validation_r2_Ex": 0.91}
    expected = "loss 1.0000 (mse 0.123); validation: loss 2.0000, R2 0.910, MAPE 4.2 %; 9 images/s"
    assert describe(METRICS | seen | {"physics_answered": 1.0}) == expected
    assert "; physics answers for 50% of the decodes; " in describe(METRICS | {"physics_answered": 0.5})


def test_a_time_limit_shortens_what_is_expected() -> None:
    assert [expected_epochs(done, done / 15) for done in (1, 7, 15)] == [15, 15, 15]
    assert expected_epochs(4, 0.5) == 8  # half of the time is over after 4 of 15 epochs
    assert expected_epochs(8, 1.0) == 8
