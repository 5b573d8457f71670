/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * All ops on all devices: /golden against PyTorch, /ops against the reference device. With
 * --baseline, the cpu device as on a processor that has nothing special; with --pairs, in bfloat16
 * as where there are instructions for it, but without these. W2W_OP_BENCH=1 also
 * prints what each case of /ops takes.
 */
#include "tests/ops/op_test.h"

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    if (argc > 1 && g_str_equal(argv[1], "--baseline"))
        g_setenv("W2W_CPU_INSTRUCTION_SET", "baseline", TRUE);
    if (argc > 1 && g_str_equal(argv[1], "--pairs"))
        g_setenv("W2W_CPU_INSTRUCTION_SET", "AVX2-pairs", TRUE);
    w2w_add_tests_activation();
    w2w_add_tests_activation_gradient();
    w2w_add_tests_add();
    w2w_add_tests_attention();
    w2w_add_tests_attention_gradient();
    w2w_add_tests_columns();
    w2w_add_tests_concat();
    w2w_add_tests_conv2d();
    w2w_add_tests_device();
    w2w_add_tests_geglu();
    w2w_add_tests_geglu_gradient();
    w2w_add_tests_group_norm();
    w2w_add_tests_group_norm_gradient();
    w2w_add_tests_layer_norm();
    w2w_add_tests_layer_norm_gradient();
    w2w_add_tests_linear();
    w2w_add_tests_lora_gradient();
    w2w_add_tests_masked_mse();
    w2w_add_tests_masked_mse_gradient();
    w2w_add_tests_sum();
    w2w_add_tests_timestep_embedding();
    w2w_add_tests_token_embedding();
    w2w_add_tests_transpose();
    w2w_add_tests_upsample();
    w2w_add_tests_upsample_gradient();
    return g_test_run();
}
