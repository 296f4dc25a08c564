import { type ChildProcess, fork } from 'node:child_process'

interface Answer {
  readonly id: number
  readonly result?: never
  readonly error?: string
}

/** What a child does when it is asked. */
export type ChildCalls = Readonly<Record<string, (argument: never) => unknown>>

/** A process of its own that is asked by name, and ends with `await using`. */
export class Child<Calls extends ChildCalls> implements AsyncDisposable {
  readonly #process: ChildProcess
  readonly #waiting = new Map<number, { readonly resolve: (value: never) => void; readonly reject: (error: Error) => void }>()
  #lastId = 0

  private constructor(child: ChildProcess) {
    this.#process = child
    this.#process.on('message', ({ id, result, error }: Answer) => {
      const waiting = this.#waiting.get(id)
      this.#waiting.delete(id)
      if (error === undefined) waiting?.resolve(result as never)
      else waiting?.reject(new Error(error))
    })
    this.#process.once('exit', (code, signal) => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`a child ended: ${code ?? signal}`))
      this.#waiting.clear()
    })
  }

  /** @param program - its bundle */
  static async start<Calls extends ChildCalls>(program: string, args: readonly string[]): Promise<Child<Calls>> {
    // The test runner's own flags are not for others: a second process would write into its results.
    const child = new Child<Calls>(fork(program, args, { execArgv: [], serialization: 'advanced', stdio: ['ignore', 'inherit', 'inherit', 'ipc'] }))
    await child.#answer(0)
    return child
  }

  call<Name extends keyof Calls & string>(name: Name, ...[argument]: Parameters<Calls[Name]>): Promise<Awaited<ReturnType<Calls[Name]>>> {
    const id = ++this.#lastId
    const answer = this.#answer<Awaited<ReturnType<Calls[Name]>>>(id)
    this.#process.send({ id, name, argument })
    return answer
  }

  #answer<Value>(id: number): Promise<Value> {
    return new Promise<Value>((resolve, reject) => this.#waiting.set(id, { resolve, reject }))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return
    const ended = new Promise<void>((resolve) => this.#process.once('exit', () => resolve()))
    this.#process.kill('SIGKILL')
    await ended
  }
}

/** Serves what a parent asks of this process, which ends with it. */
export function serveParent(calls: ChildCalls): void {
  process.once('disconnect', () => process.exit(0))
  process.on('message', ({ id, name, argument }: { readonly id: number; readonly name: string; readonly argument: never }) => {
    const answer = async (): Promise<unknown> => calls[name]?.(argument)
    answer().then(
      (result) => process.send?.({ id, result }),
      (error: unknown) => process.send?.({ id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) })
    )
  })
  process.send?.({ id: 0 })
}
