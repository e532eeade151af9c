from tests.fakes.fixtures import kubernetes as kubernetes
from tests.fakes.fixtures import server as server
