# SPDX-License-Identifier: Apache-2.0
"""P8 of networks: kill -9 at every step that has to do with them, with a daemon and without (faults_network.py)."""

import unittest

import faults
import faults_network
from faults import Op


class Network(faults_network.NetworkFaultTest):
    pass


faults.tests_of(Network, faults_network.NETWORK, faults_network.of_networks)

EMBEDDED = ("network create", "network rm", "run --rm on a network", "rm -f on a network", "connect", "disconnect")


class Embedded(faults_network.NetworkFaultTest):
    EMBEDDED = True


def embedded(op):
    return Op(op.name, *op.argv, before=op.before, victims="self engine", stays=" ".join(op.stays), fails=op.fails)


faults.tests_of(Embedded, [embedded(op) for op in faults_network.NETWORK if op.name in EMBEDDED], faults_network.of_networks)

if __name__ == "__main__":
    unittest.main()
