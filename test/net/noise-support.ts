import type { ConnectionEncrypter, Libp2p } from '@libp2p/interface'
import { noise } from '@libp2p/noise'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { createLibp2p } from 'libp2p'
import { hybridNoise, type EncrypterFactory } from '../../src/node/noise.ts'

type Encrypters = readonly (EncrypterFactory | ((components: Parameters<ReturnType<typeof noise>>[0]) => ConnectionEncrypter))[]

/** A libp2p node on 127.0.0.1 with nothing but TCP, an encrypter and yamux. */
export const startNode = (connectionEncrypters: Encrypters = hybridNoise()): Promise<Libp2p> =>
  createLibp2p({
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [...connectionEncrypters],
    streamMuxers: [yamux()],
    connectionMonitor: { enabled: false },
    // By default the sixth connection in a second from one address is dropped.
    connectionManager: { inboundConnectionThreshold: 100_000 }
  })

/** A node as everybody has it. */
export const startStock = (): Promise<Libp2p> => startNode([noise()])
