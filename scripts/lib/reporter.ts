/** A reporter for node:test: one JSON line for each result, for scripts/test.ts to read. Chosen with --test-reporter. */
import { inspect } from 'node:util'
import type { TestEvent } from 'node:test/reporters'

/** What happened to one test, or to a suite that failed by itself. */
export interface TestResult {
  readonly kind: 'test' | 'suite'
  readonly outcome: 'pass' | 'fail' | 'skip' | 'todo'
  readonly name: string
  readonly nesting: number
  readonly file: string
  readonly line: number
  readonly durationMs: number
  /** Why it was skipped, or how it failed. */
  readonly reason: string
  /** The failure only says that a test inside failed. */
  readonly inherited: boolean
}

type Finished = Extract<TestEvent, { type: 'test:pass' | 'test:fail' }>

const textOf = (value: string | boolean | undefined): string => (typeof value === 'string' ? value : '')

function failureOf(event: Finished): { readonly reason: string; readonly inherited: boolean } {
  if (event.type === 'test:pass') return { reason: textOf(event.data.skip) || textOf(event.data.todo), inherited: false }
  const { error } = event.data.details
  const inherited = 'failureType' in error && error.failureType === 'subtestsFailed'
  return { reason: inspect(error.cause ?? error, { depth: 4 }), inherited }
}

function outcomeOf(event: Finished): TestResult['outcome'] {
  if (event.data.skip !== undefined && event.data.skip !== false) return 'skip'
  if (event.data.todo !== undefined && event.data.todo !== false) return 'todo'
  return event.type === 'test:pass' ? 'pass' : 'fail'
}

function resultOf(event: Finished): TestResult {
  return {
    kind: event.data.details.type === 'suite' ? 'suite' : 'test',
    outcome: outcomeOf(event),
    name: event.data.name,
    nesting: event.data.nesting,
    file: event.data.file ?? '',
    line: event.data.line ?? 0,
    durationMs: event.data.details.duration_ms,
    ...failureOf(event)
  }
}

export default async function* report(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  for await (const event of source) {
    if (event.type === 'test:pass' || event.type === 'test:fail') yield `${JSON.stringify(resultOf(event))}\n`
  }
}
