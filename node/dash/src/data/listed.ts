/** Lists of the API stand in an object under their name, so that fields can be added; older ones stand alone. Pure. */
export type Listed<T, K extends string> = readonly T[] | Readonly<Record<K, readonly T[]>>;

export function itemsOf<T, K extends string>(listed: Listed<T, K>, key: K): readonly T[] {
  return Array.isArray(listed) ? listed : (listed as Readonly<Record<K, readonly T[]>>)[key];
}
