import { circuitRelayServer } from '@libp2p/circuit-relay-v2'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { identify } from '@libp2p/identify'
import type { Libp2p, PrivateKey } from '@libp2p/interface'
import { noise } from '@libp2p/noise'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { createLibp2p } from 'libp2p'
import { hybridNoise } from '../../src/node/noise.ts'

export interface Relay extends AsyncDisposable {
  readonly libp2p: Libp2p
  readonly privateKey: PrivateKey
  readonly port: number
  /** Where it is dialled, with its peer id. */
  readonly address: string
  /** What a node listens on to be reached over it. */
  readonly listen: string
  /** Nodes that have a place at it. */
  reservations(): number
  stop(): Promise<void>
}

export interface RelayOptions {
  /** Bytes of a circuit, both directions together, before it is cut; default 131,072: libp2p's own. */
  readonly bytes?: number
  /** Whether its own connections can be hybrid. Default false: Noise as libp2p comes. */
  readonly hybrid?: boolean
  /** The relay that this one takes the place of. */
  readonly after?: Pick<Relay, 'privateKey' | 'port'>
}

/** A relay as libp2p comes, on 127.0.0.1: stock protocols, nothing of ours. */
export async function startRelay({ bytes = 131_072, hybrid = false, after }: RelayOptions = {}): Promise<Relay> {
  const privateKey = after?.privateKey ?? (await generateKeyPair('Ed25519'))
  const libp2p = await createLibp2p({
    privateKey,
    addresses: { listen: [`/ip4/127.0.0.1/tcp/${after?.port ?? 0}`] },
    transports: [tcp()],
    connectionEncrypters: hybrid ? hybridNoise({ policy: 'prefer' }) : [noise()],
    streamMuxers: [yamux()],
    services: { identify: identify(), relay: circuitRelayServer({ reservations: { defaultDataLimit: BigInt(bytes) } }) }
  })
  const [address] = libp2p.getMultiaddrs().map(String)
  if (address === undefined) throw new Error('the relay listens nowhere')
  const stop = async (): Promise<void> => {
    await libp2p.stop()
  }
  const port = Number(/tcp\/(\d+)/.exec(address)?.[1])
  return {
    libp2p,
    privateKey,
    port,
    address,
    listen: `${address}/p2p-circuit`,
    reservations: () => libp2p.services.relay.reservations.size,
    stop,
    [Symbol.asyncDispose]: stop
  }
}
