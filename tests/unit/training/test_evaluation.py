import torch
import torch.nn.functional as F

from dass.datasets.augment import normalize
from dass.datasets.task_data import TaskData
from dass.networks.elastic_resnet import ElasticResNet
from dass.space.search_space import SearchSpace
from dass.training import evaluation
from dass.training.evaluation import evaluate, forward, predict


def test_float32_forward_is_the_network_itself(data: TaskData, space: SearchSpace) -> None:
    network = ElasticResNet(space.largest, 4).eval()
    images = normalize(data.test_images)
    with torch.no_grad():
        assert torch.equal(forward(network, images, "float32"), network(images))


def test_bfloat16_forward_gives_float32_logits_close_to_exact(data: TaskData, space: SearchSpace) -> None:
    network = ElasticResNet(space.largest, 4).eval()
    images = normalize(data.test_images)
    with torch.no_grad():
        logits = forward(network, images, "bfloat16")
        exact = network(images)
    assert logits.dtype == torch.float32
    assert not torch.equal(logits, logits.bfloat16().float())  # not rounded to bfloat16 at the end
    assert (logits - exact).norm() / exact.norm() < 0.03


def test_evaluate_keeps_the_last_partial_batch(data: TaskData, space: SearchSpace, monkeypatch) -> None:
    network = ElasticResNet(space.largest, 4)
    whole = evaluate(network, data.test_images, data.test_labels, "float32")
    monkeypatch.setitem(evaluation.BATCH, "cpu", 16)  # 41 images: 16, 16, 9
    parts = evaluate(network, data.test_images, data.test_labels, "float32")
    assert abs(whole.accuracy - parts.accuracy) < 1e-9
    assert abs(whole.loss - parts.loss) < 1e-5
    with torch.no_grad():
        logits = network.eval()(normalize(data.test_images))
    right = [int(logit.argmax()) == int(label) for logit, label in zip(logits, data.test_labels, strict=True)]
    assert whole.accuracy == 100 * sum(right) / 41
    assert abs(whole.loss - F.cross_entropy(logits, data.test_labels).item()) < 1e-5


def test_predict_leaves_mode_and_statistics_as_they_were(data: TaskData, space: SearchSpace) -> None:
    network = ElasticResNet(space.largest, 4).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    predict(network, data.test_images, "float32")
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
