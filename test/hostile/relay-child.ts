import { createMesh } from '../../src/node/create-mesh.ts'
import { usedBytes } from './support.ts'

/** A relay in a process of its own, so that its memory is its own; tells it, and what it serves, whenever it is asked. */
const relay = await createMesh(
  {
    name: 'relay',
    network: 'test-flood',
    mdns: false,
    portMapping: false,
    stunPort: 0,
    listenAddrs: ['/ip4/127.0.0.1/tcp/0'],
    relayServe: true,
    relayOpen: true,
    relayMaxReservations: 150,
    relayMaxCircuits: 120,
    relayMaxCircuitsPerPeer: 4,
    relayBytesPerSecond: 524_288
  },
  { hostLimits: { relayStallMs: 1_500, inboundConnectionsPerSecond: 2_000, gater: { perAddress: 2_000, halfOpenPerAddress: 2_000 } } }
)
process.on('message', () => void relay.status().then(({ serving }) => process.send?.({ used: usedBytes(), rss: process.memoryUsage.rss(), serving })))
process.once('disconnect', () => void relay.stop().then(() => process.exit(0)))
process.send?.({ address: relay.addresses()[0] })
