import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodeRefusal } from '../../src/core/session/hello.ts'
import type { LogRecord } from '../../src/mesh/mesh.ts'
import { createTestnet } from '../../src/testing/testnet.ts'
import { startTestHost } from './support.ts'

test('messages wait for a peer that refuses every session but weaker ones, and the log says why', async () => {
  const { promise, resolve } = Promise.withResolvers<LogRecord>()
  await using net = await createTestnet(1, {
    config: { mlkemSecurityLevel: 5 },
    onLog: (_index, record) => record.event === 'LEVEL_REFUSED' && resolve(record)
  })
  await using contrary = await startTestHost({ network: 'testnet' })
  const asked: string[] = []
  await contrary.host.serve('pqs', async (stream) => {
    for await (const _hello of stream.frames()) {
      asked.push(stream.peerId)
      await stream.send(encodeRefusal({ code: 'LEVEL_REFUSED', minimumLevel: 3 }))
    }
  })
  const me = net.node(0)
  const { status } = await me.send(String(contrary.libp2p.getMultiaddrs()[0]), 'anything', { waitFor: 'accepted' })
  const { level, fields } = await promise
  assert.deepEqual([status, level], ['accepted', 'warn'])
  assert.match(String(fields['what']), new RegExp(`messages to …${contrary.peerId.slice(-8)}$`))
  assert.match(String(fields['reason']), /Level 5 was refused/)
  assert.equal(asked[0], me.peerId)
})
