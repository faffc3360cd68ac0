/** The door another thread comes in by: Piscina loads this file and calls its default export with each task. */
export { runTask as default } from '../src/parts/thread.ts';
