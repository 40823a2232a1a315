from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Event(_message.Message):
    __slots__ = ("wall_time", "step", "version", "explain")
    WALL_TIME_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    EXPLAIN_FIELD_NUMBER: _ClassVar[int]
    wall_time: float
    step: int
    version: str
    explain: Explain
    def __init__(self, wall_time: _Optional[float] = ..., step: _Optional[int] = ..., version: _Optional[str] = ..., explain: _Optional[_Union[Explain, _Mapping]] = ...) -> None: ...

class Explain(_message.Message):
    __slots__ = ("sample_id", "image_path", "ground_truth_label", "inference", "explanation", "benchmark", "metadata", "status", "hoc")
    class Inference(_message.Message):
        __slots__ = ("ground_truth_prob", "predicted_label", "predicted_prob", "ground_truth_prob_sd", "ground_truth_prob_itl95_low", "ground_truth_prob_itl95_hi", "predicted_prob_sd", "predicted_prob_itl95_low", "predicted_prob_itl95_hi")
        GROUND_TRUTH_PROB_FIELD_NUMBER: _ClassVar[int]
        PREDICTED_LABEL_FIELD_NUMBER: _ClassVar[int]
        PREDICTED_PROB_FIELD_NUMBER: _ClassVar[int]
        GROUND_TRUTH_PROB_SD_FIELD_NUMBER: _ClassVar[int]
        GROUND_TRUTH_PROB_ITL95_LOW_FIELD_NUMBER: _ClassVar[int]
        GROUND_TRUTH_PROB_ITL95_HI_FIELD_NUMBER: _ClassVar[int]
        PREDICTED_PROB_SD_FIELD_NUMBER: _ClassVar[int]
        PREDICTED_PROB_ITL95_LOW_FIELD_NUMBER: _ClassVar[int]
        PREDICTED_PROB_ITL95_HI_FIELD_NUMBER: _ClassVar[int]
        ground_truth_prob: _containers.RepeatedScalarFieldContainer[float]
        predicted_label: _containers.RepeatedScalarFieldContainer[int]
        predicted_prob: _containers.RepeatedScalarFieldContainer[float]
        ground_truth_prob_sd: _containers.RepeatedScalarFieldContainer[float]
        ground_truth_prob_itl95_low: _containers.RepeatedScalarFieldContainer[float]
        ground_truth_prob_itl95_hi: _containers.RepeatedScalarFieldContainer[float]
        predicted_prob_sd: _containers.RepeatedScalarFieldContainer[float]
        predicted_prob_itl95_low: _containers.RepeatedScalarFieldContainer[float]
        predicted_prob_itl95_hi: _containers.RepeatedScalarFieldContainer[float]
        def __init__(self, ground_truth_prob: _Optional[_Iterable[float]] = ..., predicted_label: _Optional[_Iterable[int]] = ..., predicted_prob: _Optional[_Iterable[float]] = ..., ground_truth_prob_sd: _Optional[_Iterable[float]] = ..., ground_truth_prob_itl95_low: _Optional[_Iterable[float]] = ..., ground_truth_prob_itl95_hi: _Optional[_Iterable[float]] = ..., predicted_prob_sd: _Optional[_Iterable[float]] = ..., predicted_prob_itl95_low: _Optional[_Iterable[float]] = ..., predicted_prob_itl95_hi: _Optional[_Iterable[float]] = ...) -> None: ...
    class Explanation(_message.Message):
        __slots__ = ("explain_method", "label", "heatmap_path")
        EXPLAIN_METHOD_FIELD_NUMBER: _ClassVar[int]
        LABEL_FIELD_NUMBER: _ClassVar[int]
        HEATMAP_PATH_FIELD_NUMBER: _ClassVar[int]
        explain_method: str
        label: int
        heatmap_path: str
        def __init__(self, explain_method: _Optional[str] = ..., label: _Optional[int] = ..., heatmap_path: _Optional[str] = ...) -> None: ...
    class Benchmark(_message.Message):
        __slots__ = ("benchmark_method", "explain_method", "total_score", "label_score")
        BENCHMARK_METHOD_FIELD_NUMBER: _ClassVar[int]
        EXPLAIN_METHOD_FIELD_NUMBER: _ClassVar[int]
        TOTAL_SCORE_FIELD_NUMBER: _ClassVar[int]
        LABEL_SCORE_FIELD_NUMBER: _ClassVar[int]
        benchmark_method: str
        explain_method: str
        total_score: float
        label_score: _containers.RepeatedScalarFieldContainer[float]
        def __init__(self, benchmark_method: _Optional[str] = ..., explain_method: _Optional[str] = ..., total_score: _Optional[float] = ..., label_score: _Optional[_Iterable[float]] = ...) -> None: ...
    class Metadata(_message.Message):
        __slots__ = ("label", "explain_method", "benchmark_method")
        LABEL_FIELD_NUMBER: _ClassVar[int]
        EXPLAIN_METHOD_FIELD_NUMBER: _ClassVar[int]
        BENCHMARK_METHOD_FIELD_NUMBER: _ClassVar[int]
        label: _containers.RepeatedScalarFieldContainer[str]
        explain_method: _containers.RepeatedScalarFieldContainer[str]
        benchmark_method: _containers.RepeatedScalarFieldContainer[str]
        def __init__(self, label: _Optional[_Iterable[str]] = ..., explain_method: _Optional[_Iterable[str]] = ..., benchmark_method: _Optional[_Iterable[str]] = ...) -> None: ...
    class HocLayer(_message.Message):
        __slots__ = ("prob", "box")
        PROB_FIELD_NUMBER: _ClassVar[int]
        BOX_FIELD_NUMBER: _ClassVar[int]
        prob: float
        box: _containers.RepeatedScalarFieldContainer[int]
        def __init__(self, prob: _Optional[float] = ..., box: _Optional[_Iterable[int]] = ...) -> None: ...
    class Hoc(_message.Message):
        __slots__ = ("label", "mask", "layer")
        LABEL_FIELD_NUMBER: _ClassVar[int]
        MASK_FIELD_NUMBER: _ClassVar[int]
        LAYER_FIELD_NUMBER: _ClassVar[int]
        label: int
        mask: str
        layer: _containers.RepeatedCompositeFieldContainer[Explain.HocLayer]
        def __init__(self, label: _Optional[int] = ..., mask: _Optional[str] = ..., layer: _Optional[_Iterable[_Union[Explain.HocLayer, _Mapping]]] = ...) -> None: ...
    SAMPLE_ID_FIELD_NUMBER: _ClassVar[int]
    IMAGE_PATH_FIELD_NUMBER: _ClassVar[int]
    GROUND_TRUTH_LABEL_FIELD_NUMBER: _ClassVar[int]
    INFERENCE_FIELD_NUMBER: _ClassVar[int]
    EXPLANATION_FIELD_NUMBER: _ClassVar[int]
    BENCHMARK_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    HOC_FIELD_NUMBER: _ClassVar[int]
    sample_id: int
    image_path: str
    ground_truth_label: _containers.RepeatedScalarFieldContainer[int]
    inference: Explain.Inference
    explanation: _containers.RepeatedCompositeFieldContainer[Explain.Explanation]
    benchmark: _containers.RepeatedCompositeFieldContainer[Explain.Benchmark]
    metadata: Explain.Metadata
    status: str
    hoc: _containers.RepeatedCompositeFieldContainer[Explain.Hoc]
    def __init__(self, sample_id: _Optional[int] = ..., image_path: _Optional[str] = ..., ground_truth_label: _Optional[_Iterable[int]] = ..., inference: _Optional[_Union[Explain.Inference, _Mapping]] = ..., explanation: _Optional[_Iterable[_Union[Explain.Explanation, _Mapping]]] = ..., benchmark: _Optional[_Iterable[_Union[Explain.Benchmark, _Mapping]]] = ..., metadata: _Optional[_Union[Explain.Metadata, _Mapping]] = ..., status: _Optional[str] = ..., hoc: _Optional[_Iterable[_Union[Explain.Hoc, _Mapping]]] = ...) -> None: ...
