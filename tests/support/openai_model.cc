// SPDX-License-Identifier: Apache-2.0
#include "tests/support/openai_model.h"

#include "models/gguf.h"
#include "models/tokenizer_factory.h"
#include "tests/support/gguf_writer.h"
#include "tests/support/tiny_tokenizer.h"

namespace baton::test {

ServedModel make_served_model(std::uint32_t max_model_len, const std::string& chat_template, bool add_bos) {
  TinyTokenizer tiny;
  tiny.controls = {"<|im_start|>", "<|im_end|>", "<s>"};
  GgufWriter writer;
  tiny.add_to(writer);
  writer.add_uint("tokenizer.ggml.bos_token_id", 258).add_bool("tokenizer.ggml.add_bos_token", add_bos);
  const TempFile file(writer.build());
  ServedModel served;
  served.tokenizer = make_tokenizer(*GgufFile::open(file.path()).value()).value();
  served.model.names = {"tiny", "other"};
  served.model.max_model_len = max_model_len;
  served.model.tokenizer = served.tokenizer.get();
  if (!chat_template.empty()) served.model.chat_template = ChatTemplate::parse(chat_template, "<s>", "</s>").value();
  return served;
}

}  // namespace baton::test
