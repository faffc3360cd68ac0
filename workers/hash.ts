/** The door of the hashing thread: it listens from the moment this file is loaded. */
import '../src/parts/hash-thread.ts';
