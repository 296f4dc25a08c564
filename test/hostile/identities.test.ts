import assert from 'node:assert/strict'
import { test } from 'node:test'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { identify } from '@libp2p/identify'
import { noise } from '@libp2p/noise'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p, type Libp2p } from 'libp2p'
import { until } from '../net/support.ts'
import { startBattlefield } from './support.ts'

/** A libp2p node whose identity is of a kind that has no place here. */
async function foreignNode(kind: 'secp256k1' | 'RSA'): Promise<Libp2p> {
  return createLibp2p({
    privateKey: kind === 'RSA' ? await generateKeyPair('RSA', 2_048) : await generateKeyPair('secp256k1'),
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    connectionMonitor: { enabled: false },
    services: { identify: identify({ protocolPrefix: 'synaptic-mesh' }) }
  })
}

for (const kind of ['secp256k1', 'RSA'] as const) {
  // Nothing here catches it: an error that a listener of libp2p throws ends the process, and so this test.
  test(`a peer with a key of another kind (${kind}) is not let in, and harms nobody`, async () => {
    await using field = await startBattlefield()
    const foreign = await foreignNode(kind)
    try {
      for (let attempt = 0; attempt < 3; attempt++) {
        const connection = await foreign
          .dial(multiaddr(field.victim.addresses()[0] ?? ''), { signal: AbortSignal.timeout(5_000) })
          .catch(() => undefined)
        if (connection !== undefined) await until(() => connection.status !== 'open', 'the connection is ended by the victim')
      }
      assert.ok(field.records.some((record) => record.event === 'connection.refused' && String(record.fields['reason']).includes('Ed25519')))
      assert.equal((await field.victim.peers()).length, 1)
      assert.equal((await field.victim.detailedStatus()).connections.length, 1)
      await field.serveHonest()
    } finally {
      await foreign.stop()
    }
  })
}
