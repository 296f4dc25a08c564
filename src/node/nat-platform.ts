import { type Datastore, Key } from 'interface-datastore'
import type { NatPorts } from '../mesh/nat-ports.ts'
import type { RatesStore } from '../mesh/traversal-keeper.ts'
import type { StartedHost } from './host.ts'
import { IceEngine } from './ice-engine.ts'
import { NetworkWatch } from './network-watch.ts'
import { RouterPorts } from './port-mapping.ts'
import { StunProber } from './stun-prober.ts'

const ratesKey = new Key('/nat/rates')

/** What Node gives of the network around the node; `stop` ends what has threads of its own. */
export function natPlatform(host: StartedHost, datastore: Datastore): { readonly ports: NatPorts; stop(): void } {
  const { libp2p, relays, relayServer } = host
  const { dialler, own } = libp2p.services
  const ice = new IceEngine()
  const ports: NatPorts = {
    dial: dialler,
    own,
    mapping: new RouterPorts(),
    relays,
    relayServer,
    stun: new StunProber(),
    network: new NetworkWatch(),
    ice,
    upgrader: dialler.upgrader,
    rates: ratesStore(datastore)
  }
  return { ports, stop: () => ice.stop() }
}

/** The rates of the traversals, beside what libp2p knows of peers. */
function ratesStore(datastore: Datastore): RatesStore {
  return {
    load: async () => ((await datastore.has(ratesKey)) ? datastore.get(ratesKey) : undefined),
    save: async (value) => void (await datastore.put(ratesKey, value))
  }
}
