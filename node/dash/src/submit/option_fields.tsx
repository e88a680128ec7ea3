import type { Product } from "../api.ts";
import { text } from "../text/index.ts";
import type { Draft } from "./draft.ts";

const SPP_MOST = 65_536;

interface Props {
  draft: Draft;
  product: Product;
}

/** What can be chosen beside the files. */
export function OptionFields({ draft, product }: Props) {
  const words = text().submit;
  const { size, spp, max_price, full_audits } = draft.options.value;
  return (
    <div class="fields">
      {(product === "render" || product === "fractal") && (
        <label>
          {words.size}
          <input
            value={size}
            pattern="[1-9][0-9]*x[1-9][0-9]*"
            onChange={(event) => event.currentTarget.reportValidity() && draft.choose({ size: event.currentTarget.value })}
          />
        </label>
      )}
      {product === "render" && (
        <label>
          {words.spp}
          <input
            type="number"
            min={1}
            max={SPP_MOST}
            value={spp}
            onChange={(event) => event.currentTarget.reportValidity() && draft.choose({ spp: event.currentTarget.valueAsNumber })}
          />
        </label>
      )}
      <label>
        {words.maxPrice}
        <input
          type="number"
          min={0}
          value={max_price ?? ""}
          onChange={({ currentTarget: input }) =>
            input.reportValidity() && draft.choose({ max_price: input.value === "" ? null : input.valueAsNumber })
          }
        />
      </label>
      <label class="check">
        <input
          type="checkbox"
          checked={full_audits}
          onChange={(event) => draft.choose({ full_audits: event.currentTarget.checked })}
        />{" "}
        {words.fullAudits}
      </label>
    </div>
  );
}
