/** What onion circuits cost: `npm run bench onion`, or only the sections that are named (cipher, handshake, links, build, goodput, message; tagging on request). */
import { parseArgs } from 'node:util'
import { buildTime } from './onion/build.ts'
import { cipher } from './onion/cipher.ts'
import { goodput } from './onion/goodput.ts'
import { handshake } from './onion/handshake.ts'
import { links } from './onion/links.ts'
import { message } from './onion/message.ts'
import type { Section } from './onion/section.ts'
import { tagging } from './onion/tagging.ts'
import { type Floor, verdict } from './verdict.ts'

const sections: readonly Section[] = [cipher, handshake, links, buildTime, goodput, message, tagging]

const { values, positionals } = parseArgs({ options: { rounds: { type: 'string', default: '11' } }, allowPositionals: true })
const unknown = positionals.filter((name) => !sections.some((section) => section.name === name))
if (unknown.length > 0) {
  process.stderr.write(`There is no section ${unknown.join(', ')}: ${sections.map(({ name }) => name).join(', ')}\n`)
  process.exitCode = 2
} else {
  const chosen = sections.filter(({ name, isOnRequest }) => (positionals.length > 0 ? positionals.includes(name) : isOnRequest !== true))
  const floors: Floor[] = []
  for (const section of chosen) floors.push(...(await section.run(Math.max(11, Number(values.rounds)))))
  verdict(floors)
}
