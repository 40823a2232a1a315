"""The runner that users construct."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mindspore import Tensor, nn

from ..benchmarks import Metric
from ..explainers import Explainer, HierarchicalOcclusion
from ..explainers.arguments import plain_text, whole_number, yes_or_no
from ..explainers.core.measured_size import PassSize
from ..explainers.nearest_samples import NearestSamples
from ..explainers.network import DEFAULT_PASS_SIZE, Output
from ..explainers.network.tensors import checked_activation, checked_network
from ..summary_format.images import Statistics
from ..summary_format.problem import Problem
from .data.class_names import class_names_from
from .data.dataset_pool import DatasetPool
from .data.direct import Data
from .data.given import checked_data
from .engines.ray_engine import run_on_ray
from .execution.engine import execute
from .execution.reporting import log_shown, report_end
from .execution.resume import whole_run_finished
from .execution.run_result import RunResult
from .keyword_hints import checks_keywords
from .plan.engine_options import EngineOptions, engine_options
from .plan.options import BLANK_FOLDER, RunOptions
from .plan.plan import Plan
from .plan.questions import TRUTH_AND_CONFIDENT
from .plan.sharding import shard_of
from .problems import PlanError, checked_sequence


class ImageClassificationRunner:
    """Explains a dataset with every registered explainer, scores the explanations, and writes a summary folder.

    Args:
        summary_dir: where to write; made if missing. One run a folder. ``{shard}`` in it stands for the shard's name.
        data: the dataset and its class names, a list in the order of the network's outputs or a dictionary from every
            index to a name; one that stands several times gets its index: "crane (134)". Columns by position: image
            float32 (C, H, W) with 1, 3 or 4 channels; labels, one integer or (K,), those outside 0..classes-1 being
            padding, or of floating point a 0 or 1 for each class; places, which are boxes (K, 4), one for each label,
            as x, y, width, height in pixels from the top left, or masks (K, H, W), True or above 0 where the label is,
            or a segmentation map (H, W) of class indices, with 255 or a number below 0 for none. The last one or two
            columns may be missing. Batched datasets, with one more axis in front, are read alike. The dataset may also
            be a ``mindspore.dataset.dataloader.DataLoader`` that does not shuffle, or arrays (images, labels, places)
            with one entry a sample each, of which the last may be missing. Images are given to the network as they are,
            whatever their type.
        network: from images (N, C, H, W) to logits (N, classes), or to something that holds them. It is left as it is
            found. One logit z of two class names becomes (-z, z), so that a sigmoid gives both classes' probabilities.
        activation_fn: from logits to probabilities: ``nn.Softmax()`` for one label an image, ``nn.Sigmoid()`` for
            several.
        mean: what was subtracted from the pixels, for each channel or for all; with std, original images are shown in
            true colours. Pixels are taken to have run from 0 to 255 before where one of mean and std exceeds 10 or a
            restored pixel 2, else from 0 to 1.
        std: what they were divided by then.
        seed: what all randomness starts from; every sample draws from a generator of its own.
        pass_size: images per pass; results depend on no other size. "auto" measures which size takes least time, when a
            run begins, and keeps that for the run.
        strict: make a network output or a map that is not finite an error, instead of counting it as not computed, and
            a network whose outputs are not of their image alone, instead of reporting it.
        jit: whether passes run compiled: "auto" where the network compiles and gives the same logits, "on",
            which makes it an error if it does not, or "off".
        labels: which labels of a sample are explained: "truth and confident", its true ones and those of a probability
            above 0.5; "truth"; "predicted", the most probable one; "top-K", such as "top-3", the K most probable ones;
            or a list of class names or indices, explained for every sample.
        skip_broken: leave out samples that cannot be read or do not fit, such as a truncated picture or an image with
            NaN: each is logged, and ``result.skipped`` and the run's plan say why. Other samples keep their ids.
        output: which part of what the network returns is its logits: an index, a key or attribute (dots lead further
            in, as in "heads.0"), or a function of what is returned that gives (N, classes). By default what it returns,
            or the one part that may be logits.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if an option is out of its range.

    Attributes:
        config: what it was made from, in plain values, if from a config; becomes part of the plan.
        maker: what makes such a runner again, in other processes too; None where only the script that made it can.
            ``runner_from`` and configs set it.
    """

    @checks_keywords
    def __init__(  # noqa: PLR0913 - all but four are options with defaults, to be given by name
        self,
        summary_dir: str | Path,
        data: tuple[Any, Sequence[str] | Mapping[int, str]],
        network: nn.Cell,
        activation_fn: Callable[[Tensor], Tensor],
        *,
        mean: Statistics | None = None,
        std: Statistics | None = None,
        seed: int = 0,
        pass_size: PassSize = DEFAULT_PASS_SIZE,
        strict: bool = False,
        jit: str = "auto",
        labels: str | Sequence[str | int] = TRUTH_AND_CONFIDENT,
        skip_broken: bool = False,
        output: Output = None,
    ) -> None:
        self._dataset, self._class_names = _checked_data(data)
        self._summary_dir = _checked_folder(summary_dir)
        self._network, self._activation_fn = checked_network(network), checked_activation(activation_fn)
        self._options = RunOptions.checked(
            mean=mean,
            std=std,
            seed=seed,
            pass_size=pass_size,
            strict=strict,
            jit=jit,
            labels=labels,
            skip_broken=skip_broken,
            output=output,
        ).of_classes(self._class_names)
        self.config: Mapping[str, Any] | None = None
        self.maker: Callable[[], ImageClassificationRunner] | None = None
        self._explainers: tuple[Explainer, ...] = ()
        self._metrics: tuple[Metric, ...] = ()
        self._dropout_samples = 0
        self._hierarchical_occlusion: HierarchicalOcclusion | None = None
        self._nearest: NearestSamples | None = None

    @checks_keywords
    def register_saliency(self, explainers: Sequence[Explainer], benchmarkers: Sequence[Metric] | None = None) -> None:
        """Choose the saliency methods and what scores them; once.

        Args:
            explainers: at least one, bound to the runner's network, with different names.
            benchmarkers: metrics, with different names.

        Raises:
            TypeError: if they are of another type.
            ValueError: if there is no explainer, or something was registered before.
        """
        if self._explainers:
            words = "register_saliency was called before; give all explainers and benchmarkers in one call"
            raise ValueError(Problem.of("saliency-registered", words))
        explainers = checked_sequence(explainers, Explainer, "explainers")
        self._metrics = checked_sequence(() if benchmarkers is None else benchmarkers, Metric, "benchmarkers")
        if not explainers:
            raise ValueError(Problem.of("no-explainers", "explainers must hold at least one explainer"))
        self._explainers = explainers

    @checks_keywords
    def register_uncertainty(self, samples: int = 20) -> None:
        """Have the spread of every probability under Monte Carlo dropout recorded; the viewer shows it.

        Where no dropout layer of the network runs, one of rate 0.5 is put before the last dense layer that runs, while
        explaining. A network that calls a dropout function is refused.

        Args:
            samples: how many dropout masks to draw for each image. All share a pass up to the first dropout where
                what follows depends on its output alone; otherwise, as a logged line says, each costs a pass.

        Raises:
            ValueError: if samples is not a whole number from 2, or uncertainty was registered before.
        """
        if self._dropout_samples:
            raise ValueError(Problem.of("uncertainty-registered", "register_uncertainty was called before"))
        self._dropout_samples = whole_number(samples, "samples", 2)

    @checks_keywords
    def register_hierarchical_occlusion(
        self,
        threshold: float = 0.5,
        window_sides: Sequence[int] | None = None,
        strides: Sequence[int] | None = None,
        blur: int | None = None,
    ) -> None:
        """Have the regions searched that suffice for each label on a blurred image; the viewer shows them.

        Args:
            threshold: probability to reach; labels that do not exceed it on the untouched image are not searched.
            window_sides: of each layer's windows, in pixels; see ``HierarchicalOcclusion`` for all that follow.
            strides: of each layer's windows, in pixels.
            blur: sigma of the blur, in pixels.

        Raises:
            ValueError: if an option lies outside its range, or it was registered before.
        """
        if self._hierarchical_occlusion is not None:
            words = "register_hierarchical_occlusion was called before"
            raise ValueError(Problem.of("hierarchical-occlusion-registered", words))
        self._hierarchical_occlusion = HierarchicalOcclusion(
            self._network, self._activation_fn, threshold, window_sides, strides, blur
        )

    @checks_keywords
    def register_nearest_samples(
        self, layer: str | None = None, count: int = 5, pool: int = 20, distance: str = "cosine"
    ) -> None:
        """Have the samples found, among the dataset's first ones, that a layer gives most alike features for.

        The report shows them beside each sample. This takes a forward pass of each sample, and two of each of the pool.

        Args:
            layer: dotted name of the layer; by default the one that ``GradCAM`` reads. Features are what it gives
                averaged over space; see ``NearestSamples`` for all that follow.
            count: how many nearest samples of each, from 1 to pool - 1.
            pool: how many of the dataset's first samples to compare with, the same in shards and at any limit; the
                dataset must have as many.
            distance: "cosine" or "euclidean".

        Raises:
            TypeError: if layer is not a text.
            ValueError: if there is no such layer or distance, a number lies outside its range, or nearest samples were
                registered before.
        """
        if self._nearest is not None:
            words = "register_nearest_samples was called before"
            raise ValueError(Problem.of("nearest-samples-registered", words))
        self._nearest = NearestSamples(self._network, layer, count, pool, distance)

    def plan(self, limit: int | None = None, shard: Any = None) -> Plan:
        """What ``run`` would do.

        Args:
            limit: only the first so many samples.
            shard: as ``run`` takes it.

        Raises:
            PlanError: if nothing is registered.
            TypeError: if shard is of another type.
            ValueError: if limit is not a whole number from 1, or there is no such shard.
            NotAWorker: if shard is "auto" and this process is msrun's scheduler.
        """
        own = shard_of(shard)
        if not (self._explainers or self._dropout_samples or self._hierarchical_occlusion):
            words = "nothing is registered; call register_saliency or register_hierarchical_occlusion first"
            raise PlanError([Problem.of("nothing-registered", words)])
        return Plan(
            summary_dir=self._summary_dir if own is None else Path(own.folder(str(self._summary_dir))),
            dataset=self._dataset,
            class_names=self._class_names,
            network=self._network,
            activation_fn=self._activation_fn,
            explainers=self._explainers,
            metrics=self._metrics,
            options=self._options,
            limit=None if limit is None else min(whole_number(limit, "limit"), sys.maxsize),
            dropout_samples=self._dropout_samples,
            hierarchical_occlusion=self._hierarchical_occlusion,
            nearest=self._nearest,
            config=self.config,
            shard=own,
            pool=DatasetPool(self._dataset, len(self._class_names), tolerant=self._options.skip_broken),
        )

    @checks_keywords
    def run(
        self,
        *,
        overwrite: bool = False,
        resume: bool = True,
        limit: int | None = None,
        shard: Any = None,
        prune: bool = False,
        engine: str | None = None,
        shards: int | None = None,
        address: str | None = None,
        resources: Mapping[str, float] | None = None,
    ) -> RunResult:
        """Work through the dataset and write the summary.

        If the folder holds an unfinished run of the same plan, resumes it, and the end is that of a run never
        interrupted; if a finished one, says so and does nothing. If it holds a run that differs only in which
        explainers, metrics and samples it has, and in whether it has uncertainty, hierarchical occlusion and nearest
        samples, the run grows: what is there is taken, the rest alone is computed, and the end is that of a run made at
        once. What is no longer registered is hidden: it stays in the folder, and is taken when it is registered again.
        SIGINT and SIGTERM stop it after the commit at hand.

        Its log, which ends with the scores, counts and the folder, goes to standard error unless the script has set up
        logging (``logging.basicConfig()``, or a handler of the logger "explainrun").

        Args:
            overwrite: start over whatever the folder holds, and once finished remove the runs that were there.
            resume: False to start an unfinished run of the same plan over.
            limit: only the first so many samples.
            shard: work on every n-th sample alone, from the i-th on, so that n processes share the dataset: (i, n)
                with i from 1 to n, "i/n", or "auto" for what msrun, a Slurm array or a Kubernetes indexed job says.
                Each shard needs a folder of its own; in ``summary_dir``, ``{shard}`` stands for a name such as
                shard-2-of-8. ``explainrun.summary_format.merge`` joins them to what one run would have written.
            prune: remove what is hidden once the run is finished.
            engine: "ray" has a Ray cluster work on all shards, below ``summary_dir``, and merges them there. The runner
                must be one that other processes can make: from ``runner_from`` or a config.
            shards: into how many an engine splits the run.
            address: of the cluster; without it RAY_ADDRESS counts, then Ray is started on this host.
            resources: what each shard has for itself: "CPU" (cores; 1), "GPU", "memory" (bytes) or a resource of the
                cluster's own, with numbers.

        Returns:
            Scores, counts and paths.

        Raises:
            PlanError: with everything found wrong, before anything is written; a run in the folder of which nothing can
                be kept, such as one of other weights, is among that.
            TypeError: as ``plan``, and so are ValueError, also for flags other than True and False and options of an
                engine, and NotAWorker.
            SampleError: at a sample after the first batch that cannot be read or does not fit: its shapes, labels,
                boxes or masks, or NaN in its image.
            NotComputedError: where something is not finite, if strict.
            FolderInUseError: if another run is writing to the folder.
            EngineError: if an engine cannot be reached, or could not finish all shards.
            RunStopped: after a signal; it ends the process with exit code 3 unless it is caught.
            OSError: if the folder cannot be written. What is committed is kept: run again to resume.
        """
        flags = {"overwrite": overwrite, "resume": resume, "prune": prune}
        how = {name: yes_or_no(flag, name) for name, flag in flags.items()}
        options = engine_options(engine, shards, address, resources, shard=shard, summary_dir=str(self._summary_dir))
        with log_shown() as shown_here:
            result = self.run_on(options, self.plan(limit, shard), **how)
            report_end(result, shown_here=shown_here)
        return result

    def run_on(
        self,
        options: EngineOptions | None,
        plan: Plan,
        *,
        overwrite: bool = False,
        resume: bool = True,
        prune: bool = False,
    ) -> RunResult:
        """Run a plan here or by an engine; arguments and errors are those of ``run``, without its log.

        Args:
            options: which engine, and how; None for this process.
            plan: from ``plan``; of all samples where an engine runs it.
            overwrite: see ``run``.
            resume: see ``run``.
            prune: see ``run``; an engine does not.

        Raises:
            PlanError: if other processes cannot make the runner, and an engine needs them; else as ``run``.
        """
        if options is None:
            return execute(plan, overwrite=overwrite, resume=resume, prune=prune)
        if prune:
            words = "the engine {engine!r} does not prune; let it finish, then run without it and with prune (--prune)"
            raise PlanError([Problem.of("engine-prunes-nothing", words, engine=options.engine)])
        if self.maker is None:
            words = (
                "the engine {engine!r} needs a runner that its workers can make too, but the network and dataset of "
                "this one are in this process alone: put what makes and registers it into a function, and get the "
                "runner by explainrun.runner.runner_from('file.py:function')"
            )
            raise PlanError([Problem.of("runner-without-maker", words, engine=options.engine)])
        if whole_run_finished(plan, overwrite=overwrite):
            return execute(plan)
        return run_on_ray(plan, self.maker, options, overwrite=overwrite, resume=resume)


def _checked_folder(summary_dir: Any) -> Path:
    if not isinstance(summary_dir, (str, Path)):
        words = "summary_dir must be a path, got {kind}"
        raise TypeError(Problem.of("folder-kind", words, kind=type(summary_dir).__name__))
    folder = str(summary_dir) if isinstance(summary_dir, Path) else plain_text(summary_dir, "summary_dir")
    if not folder.strip():
        raise ValueError(BLANK_FOLDER)
    return Path(folder)


def _checked_data(data: Any) -> tuple[Data, tuple[str, ...]]:
    if not isinstance(data, (tuple, list)) or len(data) != 2:
        raise TypeError(Problem.of("data-no-pair", "data must be a pair (dataset, class names)"))
    dataset, names = data
    return checked_data(dataset), class_names_from(names, "data[1]")
