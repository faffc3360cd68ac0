/** What cases share is made when the first of them asks for it, before anything is measured: a run of few makes little. */
export function once<T>(make: () => T): () => T {
  let made: { value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}
