import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { networkIds } from '../../src/mesh/network-ids.ts'
import { type ProtocolName, protocolTable } from '../../src/mesh/protocol-table.ts'

const page = readFileSync(new URL('../../docs/wire/transport.md', import.meta.url), 'utf8')
const seconds = (ms: number): string => (ms === 0 ? '–' : `${ms / 1_000} s`)

test('docs/wire/transport.md states every protocol with the limits of the table', () => {
  for (const name of Object.keys(protocolTable) as readonly ProtocolName[]) {
    const limits = protocolTable[name]
    const numbers = [limits.maxFrameBytes, limits.maxInboundStreams, limits.streamsPerSecond, limits.framesPerSecond].map((number) =>
      number.toLocaleString('en-US')
    )
    const times = [limits.firstByteMs, limits.frameMs, limits.idleMs, limits.writeMs].map(seconds)
    assert.ok(page.includes(`| ${[name, ...numbers, ...times].join(' | ')} |`), `${name}: ${[...numbers, ...times].join(' | ')}`)
    assert.ok(page.includes(`\`${limits.id}\``), limits.id)
  }
})

test('docs/wire/transport.md states the ids of a network', () => {
  const ids = networkIds('NETWORK')
  for (const id of [ids.dht, ids.gossip, ids.mdnsTag]) assert.ok(page.includes(`\`${id}\``), id)
})
