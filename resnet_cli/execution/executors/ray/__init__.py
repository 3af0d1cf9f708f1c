"""A Ray cluster, or Ray on this machine: only this process, the driver, touches the results folder.

    driver                                                       a worker on some node
    unit of work, its checkpoint if there is one, the data  ──►  trains
    results folder, live view                               ◄──  events, checkpoints, records

`session` connects to a cluster, `crew` is the driver's side, `worker` the other one, `data` what they share.
"""

from resnet_cli.execution.executors.base import Executor
from resnet_cli.execution.executors.ray.crew import check, execute
from resnet_cli.execution.executors.ray.session import machines

EXECUTOR = Executor("ray", execute, check, machines, takes_address=True)
