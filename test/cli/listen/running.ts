import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'

/** Whether a process runs; a zombie has ended, and waits for its parent. */
function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}

/** Waits until a process has ended. */
export async function untilGone(pid: number): Promise<void> {
  const deadline = performance.now() + 20_000
  while (isRunning(pid) && performance.now() < deadline) await new Promise((done) => setTimeout(done, 20))
  assert.ok(!isRunning(pid), `process ${pid} is left`)
}
