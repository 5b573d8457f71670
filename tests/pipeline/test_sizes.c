/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Any multiple of the VAE's downscale: latents of odd sizes, which the UNet halves to odd sizes
 * again, on the fast device and by definition; from noise and from a picture.
 *
 * Two implementations that each stay within a golden tolerance of the original stay within twice
 * of it of each other; the tolerance is that of the folder's own pictures.
 */
#include <math.h>
#include <string.h>

#include "engine/memory.h"
#include "tests/pipeline/golden_pipeline.h"

/* Latents of 13 × 11 with four levels: 13, 7, 4, 2 and 11, 6, 3, 2. */
static const struct {
    gint width, height; /* in latents */
} sizes[] = {{13, 11}, {1, 1}, {9, 2}};

static float *render(const char *device, gint width, gint height, gboolean from_picture,
                     gsize *n_values)
{
    GoldenPipeline fixture;
    g_autoptr(W2wPicture) picture = NULL;
    g_autoptr(GError) error = NULL;
    W2wRenderOptions options = {.prompt = "sks person", .steps = 2, .guidance_scale = 3.0};
    float *image;
    gint downscale;

    golden_pipeline_open(&fixture, device, NULL);
    downscale = w2w_pipeline_get_sizes(fixture.pipeline).downscale;
    options.width = width * downscale;
    options.height = height * downscale;
    options.seed = 42;
    if (from_picture) {
        picture = w2w_picture_new((guint)options.width + 3, (guint)options.height + 1, &error);
        for (guint i = 0; i < picture->width * picture->height * 3; i++)
            picture->pixels[i] = (guint8)(i * 7);
        options.init_picture = picture;
        options.strength = 1.0;
    }
    image = w2w_pipeline_render_float(fixture.pipeline, &options, NULL, &error);
    g_assert_no_error(error);
    *n_values = (gsize)options.width * (gsize)options.height * 3;
    golden_pipeline_close(&fixture);
    return image;
}

/* The allowed root mean square of pictures' differences, in their own numbers. */
static double allowed_rms(void)
{
    g_autoptr(W2wGolden) golden = w2w_golden_open(NULL);
    JsonObject *keys =
        json_object_get_object_member(w2w_golden_get_tolerances(golden), "render_pndm");
    g_autoptr(GList) names = json_object_get_members(keys);
    double allowed = 0.0;

    for (GList *name = names; name != NULL; name = name->next)
        if (g_str_has_suffix(name->data, ".image")) {
            JsonObject *tolerance = json_object_get_object_member(keys, name->data);

            allowed = MAX(allowed, json_object_get_double_member(tolerance, "unit") *
                                       json_object_get_double_member(tolerance, "rms"));
        }
    g_assert_cmpfloat(allowed, >, 0.0);
    return allowed;
}

static void compare(gboolean from_picture)
{
    for (guint i = 0; i < G_N_ELEMENTS(sizes); i++) {
        gsize n = 0, n_reference = 0;
        W2W_AUTO_ALIGNED float *fast =
            render("cpu", sizes[i].width, sizes[i].height, from_picture, &n);
        W2W_AUTO_ALIGNED float *reference =
            render("reference", sizes[i].width, sizes[i].height, from_picture, &n_reference);
        double sum = 0.0;

        g_assert_cmpuint(n, ==, n_reference);
        for (gsize e = 0; e < n; e++)
            sum += pow((double)fast[e] - reference[e], 2.0);
        g_test_message("%d × %d latents: rms %.3g, allowed %.3g", sizes[i].width, sizes[i].height,
                       sqrt(sum / (double)n), 2.0 * allowed_rms());
        g_assert_cmpfloat(sqrt(sum / (double)n), <=, 2.0 * allowed_rms());
    }
}

static void test_from_noise(void)
{
    compare(FALSE);
}

static void test_from_picture(void)
{
    compare(TRUE);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/render/sizes/from-noise", test_from_noise);
    g_test_add_func("/render/sizes/from-a-picture", test_from_picture);
    return g_test_run();
}
