import { type ByteReader, type ByteWriter, type WallMillis, fromHex, toHex, wallMillis } from '../base/index.ts'

/** When a key was listed in our directory. */
export interface Seen {
  readonly firstSeen: WallMillis
  readonly lastSeen: WallMillis
}

/** How long the times of a key that is no longer listed are kept. */
const keptMs = 30 * 86_400_000

/** When each key was first and last seen by this node: also of those that are away for up to 30 days. Bounded: of those away the youngest go first. */
export class SeenTimes {
  readonly #max: number
  readonly #isListed: (key: string) => boolean
  readonly #times = new Map<string, Seen>()

  /** @param isListed - asked by key in hexadecimal: those times are kept whatever happens */
  constructor(max: number, isListed: (key: string) => boolean) {
    this.#max = max
    this.#isListed = isListed
  }

  get size(): number {
    return this.#times.size
  }

  get(key: string): Seen | undefined {
    return this.#times.get(key)
  }

  /** The key is listed now. When it was seen for the first time, at the latest now. */
  note(key: string, now: WallMillis): WallMillis {
    const before = this.#times.get(key)
    const firstSeen = before === undefined || before.firstSeen > now ? now : before.firstSeen
    this.#times.set(key, { firstSeen, lastSeen: now })
    if (this.#times.size > this.#max) this.#dropYoungest()
    return firstSeen
  }

  /** Forgets those that have been away for too long. */
  expire(now: WallMillis): void {
    for (const [key, { lastSeen }] of this.#times) if (lastSeen + keptMs <= now && !this.#isListed(key)) this.#times.delete(key)
  }

  #dropYoungest(): void {
    let youngest: { readonly key: string; readonly firstSeen: number } | undefined
    for (const [key, { firstSeen }] of this.#times)
      if ((youngest === undefined || firstSeen > youngest.firstSeen) && !this.#isListed(key)) youngest = { key, firstSeen }
    if (youngest !== undefined) this.#times.delete(youngest.key)
  }

  /** u32 how many, then each: 32-byte key ‖ u64 first ‖ u64 last. */
  write(writer: ByteWriter): void {
    writer.u32(this.#times.size)
    for (const [key, { firstSeen, lastSeen }] of this.#times) writer.raw(fromHex(key)).u64(firstSeen).u64(lastSeen)
  }

  /** Takes over what was written, at most as many as there may be; a time after `now` is of a clock that was wrong. @throws {MeshError} MESSAGE_MALFORMED */
  read(reader: ByteReader, now: WallMillis): void {
    const time = (): WallMillis => wallMillis(Math.min(reader.u64(), now))
    const count = reader.u32()
    if (count > this.#max) throw reader.malformed(`${count} keys, at most ${this.#max}`)
    for (let index = 0; index < count; index++) {
      const key = toHex(reader.raw(32))
      this.#times.set(key, { firstSeen: time(), lastSeen: time() })
    }
  }
}
