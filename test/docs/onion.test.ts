import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { nodeHandshakeCrypto } from '../../src/crypto/index.ts'
import { cellCommands, cellSizes, circuitWindow, descriptorLimits, extendFailures, maxFrameCells, relayCommands } from '../../src/core/onion/index.ts'
import { cellQueueLimits } from '../../src/core/onion/cell-queues.ts'
import { linkKinds } from '../../src/core/onion/link-proof.ts'
import { puzzleDeskLimits } from '../../src/core/onion/puzzle-desk.ts'
import { relayLimitDefaults } from '../../src/core/onion/relay-limits.ts'
import { streamLimits } from '../../src/core/onion/stream-mux.ts'
import { gossipTopic } from '../../src/mesh/network-ids.ts'
import { protocolTable } from '../../src/mesh/protocol-table.ts'

const page = readFileSync(new URL('../../docs/wire/onion.md', import.meta.url), 'utf8')
const number = (value: number): string => value.toLocaleString('en-US')
const states = (...texts: readonly string[]): void => {
  for (const text of texts) assert.ok(page.includes(text), text)
}
/** `relayEarly` is written RELAY_EARLY. */
const upper = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()

test('docs/wire/onion.md states the sizes of cells and handshakes', () => {
  const { cell, body, plain, create, created, recognised } = cellSizes
  states(`A cell has ${number(cell)} bytes`, `1 to ${maxFrameCells} whole cells`, `| ${number(body)} | body |`)
  states(`request of ${number(create)} bytes`, `${number(body)} bytes, then ${create - body} and ${2 * body - create} random`)
  states(`reply of ${number(created)} bytes`, `${number(body)} bytes, then ${created - body} and ${2 * body - created} random`)
  states(
    `After the ${recognised} zero bytes come ${number(plain)} bytes of messages`,
    `CM (${number(create - 128)})`,
    `MSG (${number(created - 64)})`
  )
  for (const level of [1, 3, 5] as const) {
    const { publicKeyBytes, ciphertextBytes } = nodeHandshakeCrypto.kem(level)
    states(`| ${[level, publicKeyBytes, ciphertextBytes, created - 64 - ciphertextBytes].map(number).join(' | ')} |`)
  }
})

test('docs/wire/onion.md states every command, message and kind', () => {
  for (const [name, code] of Object.entries(cellCommands)) states(`| ${code} | ${upper(name)} |`)
  for (const [name, code] of Object.entries(relayCommands)) states(`| ${code} | ${upper(name)} |`)
  for (const [name, code] of Object.entries(linkKinds)) states(`| ${code} | ${name === 'puzzle' ? 'demand' : name} |`)
  for (const [name, code] of Object.entries(extendFailures)) states(`${code} ${name}`)
})

test('docs/wire/onion.md states the limits', () => {
  const { cells, sendmeEvery } = circuitWindow
  states(`At most ${cells} are under way`, `After each ${sendmeEvery}nd`, `allows ${sendmeEvery} more`)
  const limits = relayLimitDefaults
  states(`| ${limits.clientCreatesPerSecond}, ${limits.clientCreateBurst}, then work | ${limits.relayCreatesPerSecond}, ${limits.relayCreateBurst},`)
  states(`| circuits of one link | ${limits.clientLinkCircuits} |`, `${cellQueueLimits.circuitCells} cells that wait for one circuit`)
  states(`relays ask for ${puzzleDeskLimits.leastBits} to ${puzzleDeskLimits.mostBits}`, `more than ${streamLimits.streams} streams`)
  states(`at most ${number(streamLimits.xoffBytes)} bytes`, `at most ${number(descriptorLimits.bytes)} bytes`)
})

test('docs/wire/onion.md states the ids of a network', () => {
  states(`\`${gossipTopic('NETWORK', 'onion')}\``, `\`${protocolTable.onion.id}\``, `\`${protocolTable.onionDirectory.id}\``)
})
