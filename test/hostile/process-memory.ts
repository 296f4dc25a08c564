import { closeSync, openSync, readFileSync, readSync } from 'node:fs'

/** Read at one time; the seams overlap. */
const chunkBytes = 8_388_608
const pageBytes = 4_096

interface Region {
  readonly start: number
  readonly end: number
}

/** What a process may have written to: heap, stacks, buffers, data of modules. */
function writableRegions(pid: number): readonly Region[] {
  return readFileSync(`/proc/${pid}/maps`, 'utf8')
    .split('\n')
    .flatMap((line) => {
      const [, start = '', end = '', rights = '', name = ''] = /^([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+\s*(.*)$/.exec(line) ?? []
      if (!rights.startsWith('rw') && !(rights.startsWith('r') && name === '')) return []
      return name.startsWith('[v') ? [] : [{ start: Number.parseInt(start, 16), end: Number.parseInt(end, 16) }]
    })
}

/** The parts of a region that are in memory (or swapped out): most of what is reserved was never touched. */
function presentParts(pagemap: number, { start, end }: Region): readonly Region[] {
  const entries = Buffer.alloc(((end - start) / pageBytes) * 8)
  readSync(pagemap, entries, 0, entries.length, (start / pageBytes) * 8)
  const parts: { start: number; end: number }[] = []
  for (let page = 0; page * 8 < entries.length; page++) {
    // Bits 63 and 62 of an entry: present, swapped.
    if ((entries.readUInt8(page * 8 + 7) & 0xc0) === 0) continue
    const at = start + page * pageBytes
    const last = parts.at(-1)
    if (last?.end === at) last.end = at + pageBytes
    else parts.push({ start: at, end: at + pageBytes })
  }
  return parts
}

export interface MemorySearch {
  /** How often each pattern stands in the memory. */
  readonly found: ReadonlyMap<string, number>
  /** Bytes that were searched. */
  readonly bytes: number
}

/** Looks for byte strings in the whole memory of a process of ours, which should be halted meanwhile. Linux only. */
export function searchMemory(pid: number, patterns: ReadonlyMap<string, Uint8Array>): MemorySearch {
  const found = new Map([...patterns.keys()].map((name) => [name, 0]))
  const overlap = Math.max(...[...patterns.values()].map(({ length }) => length)) - 1
  const chunk = Buffer.allocUnsafe(chunkBytes)
  const file = openSync(`/proc/${pid}/mem`, 'r')
  const pagemap = openSync(`/proc/${pid}/pagemap`, 'r')
  let bytes = 0
  try {
    for (const { start, end } of writableRegions(pid).flatMap((region) => presentParts(pagemap, region)))
      for (let at = start; at < end; at += chunkBytes - overlap) {
        const read = readAt(file, chunk, { at, length: Math.min(chunkBytes, end - at) })
        bytes += read
        count(chunk.subarray(0, read), patterns, found)
        if (at + read >= end) break
      }
  } finally {
    closeSync(file)
    closeSync(pagemap)
    chunk.fill(0)
  }
  return { found, bytes }
}

/** Guard pages and the like cannot be read. */
function readAt(file: number, chunk: Buffer, { at, length }: { readonly at: number; readonly length: number }): number {
  try {
    return readSync(file, chunk, 0, length, at)
  } catch {
    return 0
  }
}

function count(chunk: Buffer, patterns: ReadonlyMap<string, Uint8Array>, found: Map<string, number>): void {
  for (const [name, pattern] of patterns)
    for (let at = chunk.indexOf(pattern); at >= 0; at = chunk.indexOf(pattern, at + 1)) found.set(name, (found.get(name) ?? 0) + 1)
}
