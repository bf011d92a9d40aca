"""A worker of a Dask cluster whose tools answer at once: ``python fake_worker.py ADDRESS`` (`fake_job`).

With ``real`` behind the address its tools are those of the fivebyfive that it imports.
"""

import importlib.util
import sys
from pathlib import Path


def use_fake_tools() -> None:
    """Do all jobs of this process as `fake_job` does."""
    spec = importlib.util.spec_from_file_location("fake_job", Path(__file__).with_name("fake_job.py"))
    fake = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fake)
    fake.measurement_jobs.synthesis_result, fake.measurement_jobs.routing_result = fake.synthesis, fake.routing


if __name__ == "__main__":
    from distributed.cli.dask_worker import main

    address, *words = sys.argv[1:]
    if "real" not in words:
        use_fake_tools()
    main([address, "--nthreads", "1", "--no-nanny", "--no-dashboard"])
